"""``/oai`` over HTTP: GET and POST alike (OAI-PMH 2.0 section 3.1.1)."""

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import ServiceUnavailable

from uwsd.registry.oai.errors import BadArgument
from uwsd.registry.oai.service import NotPublished, OaiService
from uwsd.uws.errors import BadRequest, NotFound, UwsError
from uwsd.uws.resources.blueprint import job_lists
from uwsd.uws.resources.body import read_form, read_query

EXTENSION = "uwsd.oai"
"""Where the application keeps the `OaiService`."""

oai = Blueprint("oai", __name__)


@oai.route("/oai", methods=["GET", "POST"])
def harvest() -> Response:
    """Answer a harvester; its mistakes are told in the document, with status 200."""
    service: OaiService = current_app.extensions[EXTENSION]
    if not service.site_file.exists():
        raise NotFound("this site publishes no records; its administrator can: docs/registry.md")
    try:
        document = service.answer(_arguments())
    except UwsError as error:
        document = service.refuse(BadArgument(str(error)))
    except NotPublished:
        raise ServiceUnavailable("no record is published yet", retry_after=10) from None
    answer = Response(document, content_type="text/xml; charset=utf-8")
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _arguments() -> list[tuple[str, str]]:
    limits = job_lists().limits
    query = list(read_query(limits).fields)
    if request.method != "POST":
        return query
    if query:
        raise BadRequest("send the arguments in the body of a POST, none in its URL")
    return list(read_form(limits).fields)
