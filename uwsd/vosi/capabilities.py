"""``/capabilities`` of the platform and of each service, made from what is running."""

from collections.abc import Iterable
from datetime import UTC, datetime

from flask import Blueprint, Response, g, request

from uwsd.auth.identity import authentication, challenge
from uwsd.capabilities.base import Capability
from uwsd.uws.errors import NotFound
from uwsd.uws.resources.blueprint import job_lists
from uwsd.vosi.documents import Interface, capabilities_document

vosi = Blueprint("vosi", __name__)

# What is offered changes when the server is started with another configuration, and when there
# is somebody who can log in.
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
    answer.last_modified = max(_CHANGED, datetime.fromtimestamp(authentication().changed(), UTC))
    if g.caller.is_anonymous:
        challenge(answer)  # with 200: one may log in, but need not to read this
    return answer


def _interface(name: str, url: str) -> Interface:
    service = job_lists().joblists[name]
    assert isinstance(service, Capability)
    return Interface(
        standard_id=service.standard_id,
        url=url,
        use="base",
        description=service.description,
        logins=_logins(name),
    )


def _logins(name: str) -> tuple[str | None, ...]:
    """Return how to come to a service: not logged in, if one may, and in each way there is."""
    methods = authentication().security_methods()
    # Of a proxy's own ways to log in nobody has told us; the URL is worth knowing all the same.
    is_open = job_lists().rights[name].may_create or not methods
    return (None, *methods) if is_open else methods
