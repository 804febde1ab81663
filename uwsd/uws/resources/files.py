"""Sending a job's file: foreign content, so a browser must not take it for ours."""

import os
from datetime import UTC, datetime
from typing import Any

from flask import Response, request
from werkzeug.datastructures import Range
from werkzeug.wsgi import wrap_file

from uwsd.uws.resources.blueprint import job_lists

_INLINE = frozenset(
    {
        "application/fits",
        "application/json",
        "application/x-votable+xml",
        "image/fits",
        "image/jpeg",
        "image/png",
        "text/csv",
        "text/plain",
        "text/tab-separated-values",
    }
)
"""What a browser may show; everything else is for saving."""


def send(job_id: str, path: str, media_type: str, name: str) -> Response:
    """Send a file of the job's workspace, or the part of it that a Range asks for."""
    answer = whole(job_id, path, media_type, name)
    size = answer.content_length or 0
    answer.make_conditional(_conditions(size), accept_ranges=True, complete_length=size)
    return answer


def whole(job_id: str, path: str, media_type: str, name: str) -> Response:
    """Send all of a file of the job's workspace."""
    file = job_lists().workspaces.open(job_id, path)
    status = os.fstat(file.fileno())
    body = wrap_file(request.environ, file)
    answer = Response(body, content_type=media_type, direct_passthrough=True)
    answer.call_on_close(file.close)
    answer.content_length = status.st_size
    answer.last_modified = datetime.fromtimestamp(status.st_mtime, UTC)
    answer.set_etag(f"{status.st_mtime_ns:x}-{status.st_size:x}")
    shown = media_type.partition(";")[0].strip().lower() in _INLINE
    answer.headers.set(
        "Content-Disposition", "inline" if shown else "attachment", filename=_filename(name)
    )
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer


def _conditions(size: int) -> dict[str, Any]:
    """Return the request without a Range that does not ask for one part (RFC 9110 14.2).

    One for the last bytes, when there are not as many, asks for all of them (14.1.2).
    """
    match request.method, request.range:
        case "GET", Range(units="bytes", ranges=[(first, _)]) if first > -size:
            return request.environ
        case _:
            return {name: value for name, value in request.environ.items() if name != "HTTP_RANGE"}


def _filename(name: str) -> str:
    return "".join(c if c.isprintable() else "_" for c in name.rpartition("/")[2]) or "file"
