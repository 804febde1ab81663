"""``/{jobs}/{job-id}/parameters``: what the job was given (UWS 1.1 sections 2.1.11, 2.2.2.4)."""

from flask import Response

from uwsd.uws.documents import parameters_document
from uwsd.uws.errors import NotFound
from uwsd.uws.job import Source
from uwsd.uws.resources.blueprint import job_lists, job_url, jobs, see, text, uws, xml
from uwsd.uws.resources.body import read_form, read_value
from uwsd.uws.resources.files import send


@uws.get("/async/<job_id:job_id>/parameters")
def get_parameters(job_id: str) -> Response:
    """List the parameters."""
    return xml(parameters_document(jobs().get(job_id), job_url(job_id)))


@uws.post("/async/<job_id:job_id>/parameters")
def post_parameters(job_id: str) -> Response:
    """Add or replace parameters, while the job is PENDING (DALI 1.2 section 2.1)."""
    form = read_form(job_lists().limits, jobs().joblist.limits.max_upload)
    jobs().set_parameters(job_id, form)
    return see(job_url(job_id))


@uws.get("/async/<job_id:job_id>/parameters/<path:name>")
def get_parameter(job_id: str, name: str) -> Response:
    """Answer with the value: the text, the file as it was sent, or the URL of a remote one."""
    parameter = jobs().get(job_id).parameter(name)
    if parameter is None:
        raise NotFound(f"the job has no parameter {name}")
    if parameter.source is Source.STORED and parameter.path is not None:
        return send(job_id, parameter.path, parameter.media_type, parameter.name)
    return text(parameter.value)


@uws.put("/async/<job_id:job_id>/parameters/<path:name>")
def put_parameter(job_id: str, name: str) -> Response:
    """Replace the value of a parameter, while the job is PENDING."""
    joblist = jobs().joblist
    room = joblist.limits.max_upload if joblist.takes_file(name) else 0
    jobs().replace_parameter(job_id, name, read_value(name, job_lists().limits, room))
    return see(job_url(job_id))
