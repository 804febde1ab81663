"""``/{jobs}/{job-id}/quote``: when the job is expected to be complete (UWS 1.1 section 2.1.6)."""

from flask import Response

from uwsd.uws.resources.blueprint import jobs, text, uws
from uwsd.uws.times import to_text


@uws.get("/async/<job_id:job_id>/quote")
def get_quote(job_id: str) -> Response:
    """Answer with the instant, or with nothing when nobody knows."""
    at = jobs().get(job_id).quote
    return text("" if at is None else to_text(at))
