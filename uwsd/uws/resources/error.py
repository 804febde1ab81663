"""``/{jobs}/{job-id}/error``: why the job failed (UWS 1.1 2.2.2.5, DALI 1.2 section 5.2)."""

from flask import Response

from uwsd.uws.errors import NotFound
from uwsd.uws.resources.blueprint import jobs, text, uws


@uws.get("/<job_id:job_id>/error")
def get_error(job_id: str) -> Response:
    """Answer with the error in full, or 404 for a job that has not failed."""
    error = jobs().get(job_id).error
    if error is None:
        raise NotFound("the job has not failed")
    return text(f"{error.message}\n")
