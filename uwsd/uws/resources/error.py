"""``/{jobs}/{job-id}/error``: why the job failed (UWS 1.1 2.2.2.5, DALI 1.2 section 5.2)."""

from flask import Response, request

from uwsd.uws.errors import NotFound
from uwsd.uws.job import Job
from uwsd.uws.resources.blueprint import is_browser, job_lists, jobs, text, uws
from uwsd.uws.votable import MEDIA_TYPE, error_document
from uwsd.uws.xmltext import legible

_TAIL = 4 * 1024


@uws.get("/async/<job_id:job_id>/error")
def get_error(job_id: str) -> Response:
    """Answer with the error in full, or 404 for a job that has not failed."""
    job = jobs().get(job_id)
    if job.error is None:
        raise NotFound("the job has not failed")
    return tell(job)


def tell(job: Job) -> Response:
    """Answer with the error document of a job that gave no result: a VOTable, or text."""
    detail = _detail(job)
    if _wants_text():
        answer = text(f"{detail}\n")
    else:
        answer = Response(error_document(detail), content_type=MEDIA_TYPE)
    answer.vary.add("Accept")
    return answer


def _detail(job: Job) -> str:
    """Return the message of the errorSummary first, then the end of what the command said."""
    message = f"the job is {job.phase}" if job.error is None else job.error.message
    log = job.result("stderr")
    said = "" if log is None else job_lists().workspaces.tail(job.id, log.path, _TAIL).strip()
    return legible(f"{message}\n\nThe end of stderr:\n\n{said}" if said else message)


def _wants_text() -> bool:
    accepted = request.accept_mimetypes
    return is_browser() or accepted["text/plain"] > accepted[MEDIA_TYPE]
