"""``/{service}/examples`` and ``/{service}/descriptor``, made from what the service declares."""

from urllib.parse import urlencode

from flask import Blueprint, Response, request

from uwsd.capabilities.base import Capability
from uwsd.capabilities.parameters import RUN, RUNID
from uwsd.dali.documents import Descriptor, descriptor_document, examples_document
from uwsd.uws.errors import NotFound
from uwsd.uws.resources.blueprint import job_lists

dali = Blueprint("dali", __name__)

_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
_DATALINK = "application/x-votable+xml;content=datalink"  # DataLink 1.1 section 3.1


@dali.get("/<service>/examples")
def examples(service: str) -> Response:
    """Show the examples of a service (DALI 1.2 section 2.3); 404 when it has none."""
    capability = _capability(service)
    if not capability.examples:
        raise NotFound(f"the service {service} has no examples")
    answer = Response(
        examples_document(capability, _url(service), f"{_url()}/static/uwsd.css"),
        mimetype="application/xhtml+xml",
    )
    answer.headers["Content-Security-Policy"] = _POLICY
    return answer


@dali.get("/<service>/descriptor")
def descriptor(service: str) -> Response:
    """Describe the ways to call a service (DataLink 1.1 section 4)."""
    capability = _capability(service)
    ways = (_sync(capability), _async(capability))
    return Response(descriptor_document(_url(service), ways), mimetype=_DATALINK)


def _sync(service: Capability) -> Descriptor:
    url = f"{_url(service.name)}/sync"
    return Descriptor(
        id="sync",
        name=f"{service.name}-sync",
        description=f"{service.title}: waits for the result, and sends it.",
        access_url=url,
        parameters=(*service.parameters, RUNID),
        example_url=_example_url(url, service),
    )


def _async(service: Capability) -> Descriptor:
    return Descriptor(
        id="async",
        name=f"{service.name}-async",
        description=f"{service.title}: makes a job, which gives the result later. POST to it.",
        access_url=f"{_url(service.name)}/async",
        standard_id=service.standard_id,
        content_type="text/xml",
        parameters=(*service.parameters, RUNID, RUN),
    )


def _example_url(url: str, service: Capability) -> str:
    # One is enough: VOTable wants the names in a RESOURCE to differ.
    return f"{url}?{urlencode(service.examples[0].parameters)}" if service.examples else ""


def _capability(service: str) -> Capability:
    capability = job_lists().joblists.get(service)
    if not isinstance(capability, Capability):
        raise NotFound(f"there is no service {service} here")
    return capability


def _url(service: str = "") -> str:
    base: str = request.environ["uwsd.base_url"]
    return f"{base}/{service}" if service else base
