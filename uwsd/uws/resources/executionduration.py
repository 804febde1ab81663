"""``/{jobs}/{job-id}/executionduration``: how long the job may run, in seconds.

UWS 1.1 sections 2.1.4 and 2.2.3.4.
"""

from flask import Response

from uwsd.uws.errors import BadRequest
from uwsd.uws.resources.blueprint import job_lists, job_url, jobs, see, text, uws
from uwsd.uws.resources.body import read_form


@uws.get("/async/<job_id:job_id>/executionduration")
def get_execution_duration(job_id: str) -> Response:
    """Answer with whole seconds; 0 is unlimited."""
    return text(str(jobs().get(job_id).duration))


@uws.post("/async/<job_id:job_id>/executionduration")
def post_execution_duration(job_id: str) -> Response:
    """Set ``EXECUTIONDURATION``, as far as the service's limits go."""
    asked = read_form(job_lists().limits).only("EXECUTIONDURATION")
    if asked is None:
        raise BadRequest("POST EXECUTIONDURATION=seconds")
    jobs().set_duration(job_id, asked)
    return see(job_url(job_id))
