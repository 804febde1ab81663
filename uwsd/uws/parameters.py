"""How what a client sent becomes parameters: inline, stored or by reference.

UWS 1.1 sections 2.1.11 and 2.2.3.1.1, DALI 1.2 section 4.3.5.
"""

import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from uwsd.uws.errors import BadRequest
from uwsd.uws.form import Form, Upload
from uwsd.uws.job import Parameter, Source
from uwsd.uws.joblist import JobList
from uwsd.uws.workspace import Workspaces

_UPLOAD = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_]*),(?P<uri>\S+)", re.ASCII)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_PART = "param:"


class Inputs:
    """The parameters in one form, checked; the files among them are kept in the workspace.

    Use it as a context: when its block fails, the files are removed again, so that a refused
    request leaves nothing behind.
    """

    def __init__(self, joblist: JobList, workspaces: Workspaces, job_id: str, form: Form) -> None:
        self._joblist = joblist
        self._workspaces = workspaces
        self._job_id = job_id
        self._form = form
        self._kept: dict[str, Parameter] = {}
        self.parameters: tuple[Parameter, ...] = ()
        self.info: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self.parameters = tuple(self._read())
            self._refuse_unasked()
            self.info = about(self.parameters, self._joblist.check(self.parameters))
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._discard()

    def _read(self) -> Iterator[Parameter]:
        for name, value in self._form.parameters:
            yield self._parameter(_checked(name), value)
        yield from self._uploads()
        for upload in self._form.uploads:
            is_named = upload.name.upper() in self._kept  # by a param: of what came before
            if not is_named and self._joblist.takes_file(upload.name):
                yield self._stored(upload.name, upload.name)

    def _parameter(self, name: str, value: str) -> Parameter:
        if self._joblist.takes_file(name):
            return self._file(name, value) or Parameter(name=name, value=value)
        return Parameter(name=name, value=value)

    def _file(self, name: str, value: str) -> Parameter | None:
        """Return the parameter that ``value`` refers to, or None when it is the content itself."""
        if value.startswith(_PART):
            return self._stored(name, value.removeprefix(_PART))
        if _URL.match(value):
            return Parameter(name=name, value=value, source=Source.REMOTE)
        return None

    def _uploads(self) -> Iterator[Parameter]:
        """Read DALI's UPLOAD: its text as it was sent, and the file that it names."""
        for text in self._form.all("UPLOAD"):
            match = _UPLOAD.fullmatch(text)
            if match is None:
                raise BadRequest(
                    f"UPLOAD takes name,URI such as table,param:part, not {text[:80]!r}"
                )
            name, uri = match["name"], match["uri"]
            if not self._joblist.takes_file(name):
                raise BadRequest(f"UPLOAD: this service takes no file {name}")
            parameter = self._file(name, uri)
            if parameter is None:
                raise BadRequest(f"UPLOAD takes http:, https: and param: URIs, not {uri[:80]!r}")
            yield Parameter(name="UPLOAD", value=text)
            yield parameter
            part = uri.removeprefix(_PART)
            if parameter.source is Source.STORED and part.upper() != name.upper():
                # UWS 2.2.3.1.1: the content is also readable under the name of its part.
                yield self._stored(_checked(part), part)

    def _stored(self, name: str, part: str) -> Parameter:
        kept = self._kept.get(part.upper())
        if kept is None:
            kept = self._kept[part.upper()] = self._keep(name, self._part(part))
        return Parameter(
            name=name,
            value=kept.value,
            source=Source.STORED,
            media_type=kept.media_type,
            path=kept.path,
            size=kept.size,
        )

    def _part(self, name: str) -> Upload:
        for upload in self._form.uploads:
            if upload.name.upper() == name.upper():
                return upload
        raise BadRequest(f"param:{name[:80]} names no part of this request; send the file with it")

    def _keep(self, name: str, upload: Upload) -> Parameter:
        path = self._workspaces.keep(self._job_id, name, upload.content)
        size = (self._workspaces.path(self._job_id) / path).stat().st_size
        return Parameter(
            name=name,
            value=upload.filename,
            source=Source.STORED,
            media_type=upload.media_type,
            path=path,
            size=size,
        )

    def _refuse_unasked(self) -> None:
        for upload in self._form.uploads:
            if upload.name.upper() not in self._kept:
                raise BadRequest(f"this service takes no file {upload.name[:80]!r}")

    def _discard(self) -> None:
        for parameter in self._kept.values():
            assert parameter.path is not None
            self._workspaces.discard(self._job_id, parameter.path)


def merged(old: Sequence[Parameter], new: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return ``old``, but of each name that is in ``new``, in any case, what ``new`` has."""
    replaced = {p.name.upper() for p in new}
    return (*(p for p in old if p.name.upper() not in replaced), *new)


def about(parameters: Sequence[Parameter], ignored: Sequence[str]) -> dict[str, str]:
    """Return what jobInfo says of the parameters: which the service does not know."""
    used = {p.name for p in parameters if p.source is Source.STORED} | {"UPLOAD"}
    names = [name for name in dict.fromkeys(ignored) if name not in used]
    return {"ignored": ", ".join(names)} if names else {}


def _checked(name: str) -> str:
    """Return the name, which has to be one segment of a URL: ``/parameters/{name}``."""
    if name in {"", ".", ".."} or "/" in name or not name.isprintable():
        raise BadRequest("a parameter needs a name of printable characters, and without a slash")
    return name
