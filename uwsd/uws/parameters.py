"""How what a client sent becomes parameters: inline, stored or by reference.

UWS 1.1 sections 2.1.11 and 2.2.3.1.1, DALI 1.2 section 4.3.5.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
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
        self._kept: dict[str, list[Parameter]] = defaultdict(list)  # by the part's upper-case name
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
        named = frozenset(self._kept)  # by a param: of what came before
        for upload in self._form.uploads:
            if upload.name.upper() not in named and self._joblist.takes_file(upload.name):
                yield self._keep(upload.name, upload)

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
        seen: set[str] = set()
        for text in self._form.all("UPLOAD"):
            match = _UPLOAD.fullmatch(text)
            if match is None:
                raise BadRequest(
                    f"UPLOAD takes name,URI such as table,param:part, not {text[:80]!r}"
                )
            name, uri = match["name"], match["uri"]
            if name.upper() in seen:
                raise BadRequest(f"UPLOAD names {name} more than once")
            seen.add(name.upper())
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
        if part.upper() not in self._kept:
            self._keep(name, self._part(part))
        return replace(self._kept[part.upper()][0], name=name)

    def _part(self, name: str) -> Upload:
        match [u for u in self._form.uploads if u.name.upper() == name.upper()]:
            case [upload]:
                return upload
            case []:
                raise BadRequest(
                    f"param:{name[:80]} names no part of this request; send the file with it"
                )
            case _:
                raise BadRequest(f"param:{name[:80]} names several parts; give each its own name")

    def _keep(self, name: str, upload: Upload) -> Parameter:
        path = self._workspaces.keep(self._job_id, name, upload.content)
        parameter = Parameter(
            name=name,
            value=upload.filename,
            source=Source.STORED,
            media_type=upload.media_type,
            path=path,
            size=(self._workspaces.path(self._job_id) / path).stat().st_size,
        )
        self._kept[upload.name.upper()].append(parameter)
        return parameter

    def _refuse_unasked(self) -> None:
        for upload in self._form.uploads:
            if upload.name.upper() not in self._kept:
                raise BadRequest(f"this service takes no file {upload.name[:80]!r}")

    def _discard(self) -> None:
        for parameter in chain.from_iterable(self._kept.values()):
            assert parameter.path is not None
            self._workspaces.discard(self._job_id, parameter.path)


def merged(old: Sequence[Parameter], new: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return ``old``, but of each name that is in ``new``, in any case, what ``new`` has.

    UPLOAD goes with the file that it names, so that files can be added one by one.
    """
    replaced = {_target(p) for p in new}
    return (*(p for p in old if _target(p) not in replaced), *new)


def _target(parameter: Parameter) -> str:
    """Return the name, in upper case, of the parameter that is given a value by this one."""
    name = parameter.name.upper()
    return parameter.value.partition(",")[0].upper() if name == "UPLOAD" else name


def about(parameters: Sequence[Parameter], ignored: Sequence[str]) -> dict[str, str]:
    """Return what jobInfo says of the parameters: which the service does not know."""
    used = {p.name for p in parameters if p.source is Source.STORED} | {"UPLOAD"}
    names = [name for name in dict.fromkeys(ignored) if name not in used]
    return {"ignored": ", ".join(names)} if names else {}


def _checked(name: str) -> str:
    """Return the name, which has to be one segment of a URL: ``/parameters/{name}``."""
    if not name or not name.isprintable():
        raise BadRequest("a parameter needs a name, of printable characters")
    if "/" in name or name in (".", ".."):
        raise BadRequest(f"a parameter's name is one segment of a URL, not {name[:80]!r}")
    return name
