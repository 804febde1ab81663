"""Reading what a client sends, every byte of it counted.

Nothing is cut, replaced or guessed: a body that is too large is 413, one that is broken 400,
one of another kind 415. werkzeug's own form parser is silent about all three, so only its
multipart decoder is used.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote_to_bytes

from flask import Request, g, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from uwsd.uws.errors import BadRequest, TooLarge, UnsupportedMedia
from uwsd.uws.form import Form, Upload

_CHUNK = 64 * 1024
_SPOOL = 1024 * 1024
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_SAYS_NOTHING = (None, "", "None")
"""How clients write that they do not know what a file is; the last one is astroquery's."""
_NAME = r"[\w!#$&^.+-]{1,127}"
_MEDIA_TYPE = re.compile(rf"(?=.{{,255}}$){_NAME}/{_NAME} *(;[ -~]*)?", re.ASCII)
"""What may go out again as a Content-Type header (RFC 6838 section 4.2, RFC 9110 8.3.1)."""

# astroquery's has a "=" and no quotes, which RFC 2045 does not allow and werkzeug does not read.
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """How much a client may send; bytes, but for ``fields``."""

    body: int  #: all of a body but its files
    fields: int  #: how many fields and files
    name: int
    value: int
    spool: Path  #: where files wait until the job takes them


def read_form(limits: BodyLimits, max_upload: int = 0) -> Form:
    """Return the query and the body of this request as one form.

    ``max_upload`` is how many bytes of files are taken. A field that is in both query and
    body with the same value counts once, since some clients send everything twice.
    """
    query = _urlencoded(request.query_string, limits)
    body = _read_body(limits, max_upload)
    known = {(name.upper(), value) for name, value in body.fields}
    once = tuple((name, value) for name, value in query if (name.upper(), value) not in known)
    return Form(fields=once + body.fields, uploads=body.uploads)


def read_query(limits: BodyLimits) -> Form:
    """Return the query of this request as a form."""
    return Form(fields=_urlencoded(request.query_string, limits))


def read_value(name: str, limits: BodyLimits, max_upload: int) -> Form:
    """Return the whole body as the content of one parameter (2.1.11: PUT)."""
    content = _spooled(limits)
    counted = _counted(request, max(limits.value, max_upload))
    for piece in counted:
        content.write(piece)
    content.seek(0)
    if not max_upload:
        return Form(fields=((name, _decoded(content.read(), name)),))
    return Form(uploads=(_upload(name, "", request.content_type, content),))


def _read_body(limits: BodyLimits, max_upload: int) -> Form:
    match request.mimetype:
        case "multipart/form-data":
            return _multipart(limits, max_upload)
        case "application/x-www-form-urlencoded" | "":
            body = b"".join(_counted(request, limits.body))
            if body and not request.mimetype:
                raise UnsupportedMedia(f"say what the body is; {_URLENCODED} or {_MULTIPART}")
            return Form(fields=_urlencoded(body, limits))
        case other:
            raise UnsupportedMedia(f"send {_URLENCODED} or {_MULTIPART}, not {other[:80]}")


def _counted(of: Request, limit: int) -> Iterator[bytes]:
    """Yield the body in pieces, and raise as soon as it is known to be too large."""
    expected = of.content_length
    if expected is not None and expected > limit:
        raise TooLarge(f"the body has {expected} bytes; {limit} are the most")
    stream = of.environ["wsgi.input"]
    count = 0
    while piece := _piece(stream):
        count += len(piece)
        if count > limit:
            raise TooLarge(f"the body has more than {limit} bytes, which are the most")
        yield piece
    if expected is not None and count < expected:
        raise BadRequest(f"the body ended after {count} of {expected} bytes")


def _piece(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_CHUNK)
    except Exception as error:
        raise BadRequest(f"the body cannot be read: {type(error).__name__}") from error


def _urlencoded(raw: bytes, limits: BodyLimits) -> tuple[tuple[str, str], ...]:
    pairs = [pair.partition(b"=") for pair in raw.split(b"&") if pair]
    _check_count(len(pairs), limits)
    return tuple(_field(_unquoted(name), _unquoted(value), limits) for name, _, value in pairs)


def _unquoted(raw: bytes) -> bytes:
    if re.search(rb"%(?![0-9A-Fa-f]{2})", raw):
        raise BadRequest(f"{raw[:40]!r} has a % that two hexadecimal digits do not follow")
    return unquote_to_bytes(raw.replace(b"+", b" "))


def _field(name: bytes, value: bytes, limits: BodyLimits) -> tuple[str, str]:
    if len(name) > limits.name:
        raise TooLarge(f"a parameter's name has {len(name)} bytes; {limits.name} are the most")
    text = _decoded(name, "a parameter's name")
    if len(value) > limits.value:
        raise TooLarge(f"{text} has {len(value)} bytes; {limits.value} are the most for a value")
    return text, _decoded(value, text)


def _decoded(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{what} is not UTF-8 text; send other content as a file") from None


def _check_count(count: int, limits: BodyLimits) -> None:
    if count > limits.fields:
        raise TooLarge(f"the form has more than {limits.fields} fields, which are the most")


class _MultipartForm:
    """The parts of a multipart body, one after the other."""

    def __init__(self, limits: BodyLimits, max_upload: int) -> None:
        self._limits = limits
        self._room = max_upload
        self._part: Field | File | None = None
        self._content: BinaryIO = _spooled(limits)
        self._size = 0
        self.fields: list[tuple[str, str]] = []
        self.uploads: list[Upload] = []

    def take(self, event: Field | File | Data) -> None:
        """Take the next event of the decoder."""
        if not isinstance(event, Data):
            _check_count(len(self.fields) + len(self.uploads) + 1, self._limits)
            self._part, self._size = event, 0
            self._content = _spooled(self._limits)
            return
        self._size += len(event.data)
        self._check_size()
        self._content.write(event.data)
        if not event.more_data:
            self._finish()

    def _check_size(self) -> None:
        if isinstance(self._part, File):
            if self._size > self._room:
                raise TooLarge(f"the files have more than {self._room} bytes left for them")
        elif self._size > self._limits.value:
            raise TooLarge(f"a value has more than {self._limits.value} bytes; send it as a file")

    def _finish(self) -> None:
        part = self._part
        assert part is not None
        if part.name is None:
            raise BadRequest("a part of the form has no name")
        self._content.seek(0)
        if isinstance(part, File) and not part.filename and not self._size:
            return  # how a browser sends a file that was not chosen
        if isinstance(part, File):
            self._room -= self._size
            media_type = part.headers.get("Content-Type")
            upload = _upload(part.name, part.filename or "", media_type, self._content)
            _field(upload.name.encode(), b"", self._limits)
            self.uploads.append(upload)
        else:
            self.fields.append(_field(part.name.encode(), self._content.read(), self._limits))


def _multipart(limits: BodyLimits, max_upload: int) -> Form:
    boundary = _BOUNDARY.search(request.content_type or "")
    if not boundary:
        raise BadRequest("the multipart body has no boundary in its Content-Type")
    separator = (boundary[1] or boundary[2]).encode("latin-1", "replace")
    decoder = MultipartDecoder(separator, limits.body, max_parts=None)
    form = _MultipartForm(limits, max_upload)
    try:
        for piece in _counted(request, limits.body + max_upload):
            _feed(decoder, piece, form)
        _feed(decoder, None, form)
    except (ValueError, RequestEntityTooLarge) as error:
        raise BadRequest(f"the multipart body is broken: {error}") from None
    return Form(fields=tuple(form.fields), uploads=tuple(form.uploads))


def _feed(decoder: MultipartDecoder, piece: bytes | None, form: _MultipartForm) -> None:
    decoder.receive_data(piece)
    while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
        if isinstance(event, Field | File | Data):
            form.take(event)


def _upload(name: str, filename: str, media_type: str | None, content: BinaryIO) -> Upload:
    if media_type in _SAYS_NOTHING:
        media_type = "application/octet-stream"
    elif not _MEDIA_TYPE.fullmatch(media_type or ""):
        raise BadRequest(f"the Content-Type of {name[:80]} is no media type: {media_type!r:.42}")
    return Upload(name=name, filename=filename[:255], media_type=media_type or "", content=content)


def _spooled(limits: BodyLimits) -> BinaryIO:
    file = tempfile.SpooledTemporaryFile(_SPOOL, dir=str(limits.spool))  # noqa: SIM115 - below
    g.setdefault("spooled", []).append(file)
    return cast("BinaryIO", file)


def close_spooled(_error: BaseException | None = None) -> None:
    """Close the files of this request, when it is over."""
    for file in g.pop("spooled", ()):
        file.close()
