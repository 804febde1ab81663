"""``/capabilities`` of the platform and of each service, made from what is running."""

from collections.abc import Iterable
from datetime import UTC, datetime

from flask import Blueprint, Response, request

from uwsd.capabilities.base import Capability
from uwsd.uws.errors import NotFound
from uwsd.uws.resources.blueprint import job_lists
from uwsd.vosi.documents import Interface, capabilities_document

vosi = Blueprint("vosi", __name__)

# What is offered changes only when the server is started with another configuration.
_CHANGED = datetime.now(UTC)


@vosi.get("/capabilities")
def platform_capabilities() -> Response:
    """List the job list of every service here."""
    return _answer("/capabilities", job_lists().joblists)


@vosi.get("/<service>/capabilities")
def service_capabilities(service: str) -> Response:
    """List what one service can do."""
    if service not in job_lists().joblists:
        raise NotFound(f"there is no service {service} here")
    return _answer(f"/{service}/capabilities", [service])


def _answer(path: str, services: Iterable[str]) -> Response:
    base = request.environ["uwsd.base_url"]
    itself = Interface(
        standard_id="ivo://ivoa.net/std/VOSI#capabilities", url=f"{base}{path}", use="full"
    )
    lists = [_interface(name, f"{base}/{name}/async") for name in services]
    answer = Response(capabilities_document([itself, *lists]), mimetype="text/xml")
    answer.last_modified = _CHANGED
    return answer


def _interface(name: str, url: str) -> Interface:
    service = job_lists().joblists[name]
    assert isinstance(service, Capability)
    return Interface(
        standard_id=service.standard_id, url=url, use="base", description=service.description
    )
