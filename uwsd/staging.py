"""``/jobs/{job-id}/stage``: where jobs without a shared folder get their inputs, and bring results.

No client of UWS comes here. Whoever shows a job's ticket (`uwsd.backends.ticket`) may read its
inputs, and write into its outputs/ and logs/: one file a request, so that no archive has to be
trusted. How a job ended is never told here, but by its engine.
"""

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from flask import Blueprint, Response, jsonify, request

from uwsd.backends import ticket
from uwsd.backends.base import PROGRESS
from uwsd.uws.errors import BadRequest, Forbidden, NotFound, TooLarge
from uwsd.uws.job import LOGS
from uwsd.uws.resources.blueprint import job_lists
from uwsd.uws.resources.files import whole

staging = Blueprint("staging", __name__, url_prefix="/jobs/<job_id:job_id>/stage")

_PIECE = 1 << 20
_LONGEST_NAME = 255  # bytes of a part of a path
_LONGEST_PATH = 1024
_PROGRESS_BYTES = 512
_NOT_INPUTS = frozenset({"outputs", "logs", "run", PROGRESS})
_OFFSET = re.compile("[0-9]{1,15}")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MORE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@staging.get("/inputs")
def list_inputs(job_id: str) -> Response:
    """List the files that the job has to have before it starts."""
    folder = _workspace(job_id)
    return jsonify(sorted(_inputs(folder)))


@staging.get("/inputs/<path:path>")
def get_input(job_id: str, path: str) -> Response:
    """Send one of them."""
    _workspace(job_id)
    if PurePosixPath(path).parts[0] in _NOT_INPUTS:
        raise NotFound("that is no input")
    return whole(job_id, path, "application/octet-stream", path)


@staging.put("/outputs/<path:path>")
def put_output(job_id: str, path: str) -> Response:
    """Keep a file that the job has made; it appears once it is whole."""
    folder, size = _workspace(job_id), _size()
    target = folder / "outputs" / _checked(path)
    _count(folder, size)
    draft = folder / "run" / f"draft-{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(draft, _NEW, 0o600), "wb") as file:
            _copy(file, size)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.rename(target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise Forbidden("there is a folder, or a file, of that name already") from None
    finally:
        draft.unlink(missing_ok=True)
    return _done()


@staging.put("/logs/<name>")
def put_log(job_id: str, name: str) -> Response:
    """Keep a part of a log; the same part may come twice."""
    folder, size = _workspace(job_id), _size()
    offset = request.args.get("offset", "")
    if name not in LOGS or not _OFFSET.fullmatch(offset):
        raise NotFound("logs are stdout and stderr; say at which offset in bytes")
    target = folder / "logs" / name
    with os.fdopen(os.open(target, _MORE, 0o600), "wb") as file:
        if int(offset) > os.fstat(file.fileno()).st_size:
            raise Forbidden("what comes before it is not there yet")
        _count(folder, size)
        file.seek(int(offset))
        _copy(file, size)
    return _done()


@staging.put("/progress")
def put_progress(job_id: str) -> Response:
    """Keep the last of what the job says of its progress."""
    folder, size = _workspace(job_id), _size()
    if size > _PROGRESS_BYTES:
        raise TooLarge(f"send the last {_PROGRESS_BYTES} bytes of it")
    draft = folder / "run" / f"draft-{secrets.token_hex(8)}"
    draft.write_bytes(request.get_data())
    draft.rename(folder / PROGRESS)
    return _done()


def _workspace(job_id: str) -> Path:
    """Return the folder of a job whose ticket is shown."""
    folder = job_lists().workspaces.path(job_id)
    if not ticket.admits(folder, request.headers.get(ticket.HEADER, "")):
        raise Forbidden("that is not the ticket of this job, or it has ended")
    return folder


def _inputs(folder: Path) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.name in _NOT_INPUTS:
            continue
        if entry.is_file(follow_symlinks=False):
            yield entry.name
        for where, _, names in os.walk(entry.path):
            yield from (str(Path(where, name).relative_to(folder)) for name in names)


def _checked(path: str) -> PurePosixPath:
    """Return where a file may go below outputs/."""
    parts = path.split("/")
    wrong = any(p in ("", ".", "..") or len(p.encode()) > _LONGEST_NAME for p in parts)
    if wrong or "\0" in path or len(path.encode()) > _LONGEST_PATH:
        raise BadRequest("that is not the path of a file below outputs/")
    return PurePosixPath(path)


def _size() -> int:
    if request.content_length is None:
        raise BadRequest("say with Content-Length how many bytes there are")
    return request.content_length


def _count(folder: Path, size: int) -> None:
    if not ticket.allow(folder, size):
        raise TooLarge("that is more than the job may bring in all")


def _copy(file: BinaryIO, size: int) -> None:
    while size > 0:
        piece = request.stream.read(min(_PIECE, size))
        if not piece:
            raise BadRequest("that is not all of it")
        file.write(piece)
        size -= len(piece)


def _done() -> Response:
    return Response(status=204)
