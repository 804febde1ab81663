"""``/{jobs}/{job-id}/owner``: whose job it is (UWS 1.1 sections 2.1.8 and 3)."""

from flask import Response

from uwsd.uws.resources.blueprint import stamp, text, uws


@uws.get("/async/<job_id:job_id>/owner")
def get_owner(job_id: str) -> Response:
    """Answer with the owner's name, or with nothing for an anonymous job."""
    return text(stamp(job_id).owner or "")
