"""``/{jobs}/{job-id}/phase``: read the phase, start the job, stop it.

UWS 1.1 sections 2.2.1, 2.2.3.5 and 2.2.3.6.
"""

from flask import Response

from uwsd.uws.errors import BadRequest
from uwsd.uws.resources.blueprint import job_lists, job_url, jobs, see, stamp, text, uws
from uwsd.uws.resources.body import read_form


@uws.get("/async/<job_id:job_id>/phase")
def get_phase(job_id: str) -> Response:
    """Answer with one of the ten fixed strings."""
    return text(stamp(job_id).phase)


@uws.post("/async/<job_id:job_id>/phase")
def post_phase(job_id: str) -> Response:
    """Carry out ``PHASE=RUN`` or ``PHASE=ABORT``."""
    carry_out(job_id, read_form(job_lists().limits).only("PHASE"))
    return see(job_url(job_id))


def carry_out(job_id: str, phase: str | None) -> None:
    """Do what a posted PHASE says."""
    match phase:
        case "RUN":
            jobs().run(job_id)
        case "ABORT":
            jobs().abort(job_id)
        case None:
            raise BadRequest("POST PHASE=RUN or PHASE=ABORT")
        case other:
            raise BadRequest(f"PHASE must be RUN or ABORT, not {other[:40]!r}")
