"""``/{jobs}/{job-id}``: read a job, wait for it, destroy it.

UWS 1.1 sections 2.2.2.2, 2.2.1.2 and 2.2.3.2.
"""

import re

from flask import Response

from uwsd.uws.errors import BadRequest
from uwsd.uws.resources.blueprint import (
    job_lists,
    job_url,
    jobs,
    list_url,
    see,
    stamp,
    uws,
    xml,
)
from uwsd.uws.resources.body import read_form, read_query
from uwsd.uws.resources.joblist import phase_named
from uwsd.uws.resources.phase import carry_out


@uws.get("/async/<job_id:job_id>")
def get_job(job_id: str) -> Response:
    """Return the job; with ``WAIT`` when it has changed, or time is up."""
    query = read_query(job_lists().limits)
    known = stamp(job_id)
    if (wait := query.only("WAIT")) is not None:
        phase = query.only("PHASE")
        known = jobs().wait(job_id, _seconds(wait), None if phase is None else phase_named(phase))
    return xml(job_lists().document(jobs(), job_id, known, job_url(job_id)))


@uws.delete("/async/<job_id:job_id>")
def delete_job(job_id: str) -> Response:
    """Stop the job and forget it."""
    jobs().destroy(job_id)
    return see(list_url())


@uws.post("/async/<job_id:job_id>")
def post_job(job_id: str) -> Response:
    """Carry out ``ACTION=DELETE``; ``PHASE`` too, as old clients send it here.

    Parameters of the job are not taken here (DALI 1.2 section 2.1).
    """
    form = read_form(job_lists().limits)
    if form.parameters or len(form.fields) != 1:
        raise BadRequest("POST ACTION=DELETE here, and parameters to /parameters")
    if (phase := form.only("PHASE")) is not None:
        carry_out(job_id, phase)
        return see(job_url(job_id))
    if (action := form.only("ACTION")) != "DELETE":
        raise BadRequest(f"ACTION can only be DELETE, not {action!r:.42}")
    return delete_job(job_id)


def _seconds(text: str) -> int:
    if not re.fullmatch(r"-1|[0-9]{1,18}", text):
        raise BadRequest(f"WAIT takes whole seconds, or -1 for long, not {text[:40]!r}")
    return int(text)
