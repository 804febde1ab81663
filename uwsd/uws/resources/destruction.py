"""``/{jobs}/{job-id}/destruction``: when the job will be destroyed.

UWS 1.1 sections 2.1.5 and 2.2.3.3.
"""

from flask import Response

from uwsd.uws.errors import BadRequest
from uwsd.uws.resources.blueprint import job_lists, job_url, jobs, see, text, uws
from uwsd.uws.resources.body import read_form
from uwsd.uws.times import to_text


@uws.get("/async/<job_id:job_id>/destruction")
def get_destruction(job_id: str) -> Response:
    """Answer with the instant, or with nothing when there is none."""
    at = jobs().get(job_id).destruction
    return text("" if at is None else to_text(at))


@uws.post("/async/<job_id:job_id>/destruction")
def post_destruction(job_id: str) -> Response:
    """Set ``DESTRUCTION``, as far as the service's limits go."""
    asked = read_form(job_lists().limits).only("DESTRUCTION")
    if asked is None:
        raise BadRequest("POST DESTRUCTION=time")
    jobs().set_destruction(job_id, asked)
    return see(job_url(job_id))
