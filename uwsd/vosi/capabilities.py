"""``/capabilities`` of the platform and of each service, made from what is running."""

from collections.abc import Iterable
from datetime import UTC, datetime

from flask import Blueprint, Response, request

from uwsd.capabilities.base import Capability
from uwsd.capabilities.parameters import RUN, RUNID
from uwsd.uws.errors import NotFound
from uwsd.uws.resources.blueprint import job_lists
from uwsd.vosi.documents import Interface, capabilities_document

vosi = Blueprint("vosi", __name__)

# What is offered changes only when the server is started with another configuration.
_CHANGED = datetime.now(UTC)


@vosi.get("/capabilities")
def platform_capabilities() -> Response:
    """List the job list of every service here."""
    return _answer("/capabilities", [_job_list(name) for name in job_lists().joblists])


@vosi.get("/<service>/capabilities")
def service_capabilities(service: str) -> Response:
    """List what one service can do."""
    if service not in job_lists().joblists:
        raise NotFound(f"there is no service {service} here")
    ways = [_job_list(service), _sync(service)]
    if _capability(service).examples:
        ways.append(_examples(service))
    return _answer(f"/{service}/capabilities", ways)


def _answer(path: str, ways: Iterable[Interface]) -> Response:
    itself = Interface(
        standard_id="ivo://ivoa.net/std/VOSI#capabilities", url=_url(path), use="full"
    )
    answer = Response(capabilities_document([itself, *ways]), mimetype="text/xml")
    answer.last_modified = _CHANGED
    return answer


def _job_list(name: str) -> Interface:
    service = _capability(name)
    return Interface(
        standard_id=service.standard_id,
        url=_url(f"/{name}/async"),
        use="base",
        description=service.description,
        method="POST",
        parameters=service.parameters,
        standard_parameters=(RUNID, RUN),
    )


def _sync(name: str) -> Interface:
    """Describe DALI-sync, which has no standard id of its own (DALI 1.2 section 2.2)."""
    service = _capability(name)
    return Interface(
        url=_url(f"/{name}/sync"),
        use="full",
        description=f"{service.title}: waits for the result, and sends it.",
        answer=None,
        parameters=service.parameters,
        standard_parameters=(RUNID,),
    )


def _examples(name: str) -> Interface:
    return Interface(
        standard_id="ivo://ivoa.net/std/DALI#examples",
        url=_url(f"/{name}/examples"),
        use="full",
        answer="application/xhtml+xml",
    )


def _capability(name: str) -> Capability:
    service = job_lists().joblists[name]
    assert isinstance(service, Capability)
    return service


def _url(path: str) -> str:
    return f"{request.environ['uwsd.base_url']}{path}"
