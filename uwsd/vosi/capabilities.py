"""``/capabilities`` of the platform, of each service and of the registry (VOSI 1.1 section 4)."""

from collections.abc import Iterable
from datetime import UTC, datetime

from flask import Blueprint, Response, g, request

from uwsd.auth.identity import authentication, challenge
from uwsd.capabilities.base import Capability
from uwsd.uws.errors import NotFound
from uwsd.uws.resources.blueprint import job_lists
from uwsd.vosi.documents import Interface, capabilities_document
from uwsd.vosi.offered import Offered, logins

vosi = Blueprint("vosi", __name__)

# What is offered changes when the server is started with another configuration, and when there
# is somebody who can log in.
_CHANGED = datetime.now(UTC)


@vosi.get("/capabilities")
def platform_capabilities() -> Response:
    """List the job list of every service here."""
    return _answer(_offered().platform())


@vosi.get("/registry/capabilities")
def registry_capabilities() -> Response:
    """List what the registry can do beside being harvested."""
    return _answer(_offered().registry())


@vosi.get("/<service>/capabilities")
def service_capabilities(service: str) -> Response:
    """List what one service can do."""
    if service not in job_lists().joblists:
        raise NotFound(f"there is no service {service} here")
    return _answer(_offered().service(service))


def _answer(ways: Iterable[Interface]) -> Response:
    answer = Response(capabilities_document(ways), content_type="text/xml; charset=utf-8")
    answer.last_modified = max(_CHANGED, datetime.fromtimestamp(authentication().changed(), UTC))
    if g.caller.is_anonymous:
        challenge(answer)  # with 200: one may log in, but need not to read this
    return answer


def _offered() -> Offered:
    lists = job_lists()
    methods = authentication().security_methods()
    return Offered(
        url=request.environ["uwsd.base_url"],
        services={n: s for n, s in lists.joblists.items() if isinstance(s, Capability)},
        logins={n: logins(methods, r.may_create) for n, r in lists.rights.items()},
    )
