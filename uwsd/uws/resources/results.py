"""``/{jobs}/{job-id}/results``: what the job has made (UWS 1.1 sections 2.1.10, 2.2.2.3)."""

from flask import Response

from uwsd.uws.documents import results_document
from uwsd.uws.errors import NotFound
from uwsd.uws.resources.blueprint import job_url, jobs, uws, xml
from uwsd.uws.resources.files import send


@uws.get("/async/<job_id:job_id>/results")
def get_results(job_id: str) -> Response:
    """List the results; an empty list before there are any."""
    return xml(results_document(jobs().get(job_id), job_url(job_id)))


@uws.get("/async/<job_id:job_id>/results/<path:result_id>")
def get_result(job_id: str, result_id: str) -> Response:
    """Send one result (DALI 1.2 section 5.1)."""
    job = jobs().get(job_id)
    result = job.result(result_id)
    if result is None:
        # Some clients, such as astroquery, read of a failure nothing but this.
        why = f": {job.error.message}" if job.error else ""
        raise NotFound(f"the job has no result {result_id}{why}")
    return send(job_id, result.path, result.media_type, result_id)
