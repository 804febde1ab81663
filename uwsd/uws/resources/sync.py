"""``/sync``: run a job, and answer with what it has made (DALI 1.2 section 2.2).

It is a job as any other, and stays at its URL below ``/async``; only who asks waits for it.
"""

import socket

from flask import Response, request
from werkzeug.exceptions import MethodNotAllowed

from uwsd.database import DATABASE_FAULTS
from uwsd.uws.documents import result_url
from uwsd.uws.errors import NotFound, Unavailable
from uwsd.uws.job import ErrorType, Job
from uwsd.uws.phase import Phase
from uwsd.uws.resources.blueprint import job_lists, job_url, jobs, uws
from uwsd.uws.resources.body import close_spooled, read_form
from uwsd.uws.resources.error import tell
from uwsd.uws.resources.files import whole


@uws.route("/sync", methods=["GET", "POST"])
def run_job() -> Response:
    """Make a job, wait for its end, and answer with its main result or its error document."""
    if request.method == "HEAD":  # flask adds it to GET, and it must not run anything
        raise MethodNotAllowed(["GET", "POST", "OPTIONS"])
    form = read_form(job_lists().limits, jobs().joblist.limits.max_upload)
    job = jobs().create(form, start=True)
    close_spooled()  # the job has its files; they must not take room twice while it runs
    job = _end_of(job)
    return _result(job) if job.phase is Phase.COMPLETED else _failure(job)


def _end_of(job: Job) -> Job:
    try:
        return jobs().see_through(job.id, _client_has_gone)
    except (Unavailable, *DATABASE_FAULTS):
        raise Unavailable(
            f"nobody can wait for the job here now, but it goes on: {job_url(job.id)}"
        ) from None


def _client_has_gone() -> bool:
    """Whether the client has closed its connection, or its half of it."""
    peer: socket.socket | None = request.environ.get("gunicorn.socket")
    if peer is None:
        return False
    patience = peer.gettimeout()
    peer.settimeout(0)
    try:
        return not peer.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        peer.settimeout(patience)


def _result(job: Job) -> Response:
    main = jobs().joblist.main_result(job)
    if main is None:
        raise NotFound("the job made no result")
    # The whole of it always: to ask for the next range here would run another job.
    answer = whole(job.id, main.path, main.media_type, main.id)
    answer.content_location = result_url(job_url(job.id), main.id)
    return answer


def _failure(job: Job) -> Response:
    answer = tell(job)
    answer.status_code = _status(job)
    if answer.status_code == Unavailable.status:
        answer.headers["Retry-After"] = "5"
    if job.error is not None:
        answer.content_location = f"{job_url(job.id)}/error"
    return answer


def _status(job: Job) -> int:
    """Return what fits how the job ended (DALI 1.2 section 5.2)."""
    if job.error is None or job.phase is not Phase.ERROR:
        return 409  # somebody, or a limit, stopped it
    if job.error.type is ErrorType.TRANSIENT:
        return 503  # the engine lost it
    return 400 if job.started else 500  # it failed, or was never let start
