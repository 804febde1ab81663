"""``/availability`` of the platform, of each service and of the registry (VOSI 1.1 section 5)."""

from collections.abc import Collection
from dataclasses import dataclass

from flask import Response, current_app

from uwsd.capabilities.base import Capability
from uwsd.drain import Drain, DrainFile
from uwsd.health import Condition, Health
from uwsd.uws.errors import NotFound
from uwsd.uws.resources.blueprint import job_lists
from uwsd.vosi.capabilities import vosi
from uwsd.vosi.documents import Availability, availability_document

EXTENSION = "uwsd.availability"
"""Where the application keeps what the views ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What tells how the site is."""

    health: Health
    drain: DrainFile


@vosi.get("/availability")
def platform_availability() -> Response:
    """Tell whether jobs can be run here: on one backend at least."""
    backends = {s.backend for s in job_lists().joblists.values() if isinstance(s, Capability)}
    return _answer(backends)


@vosi.get("/registry/availability")
def registry_availability() -> Response:
    """Tell whether the registry can be harvested, which needs no backend and takes no job."""
    return _answer((), takes_jobs=False)


@vosi.get("/<service>/availability")
def service_availability(service: str) -> Response:
    """Tell whether jobs of one service can be run."""
    offered = job_lists().joblists.get(service)
    if not isinstance(offered, Capability):
        raise NotFound(f"there is no service {service} here")
    why = offered.unready()
    return _answer({offered.backend}, *(() if why is None else (why,)))


def _answer(backends: Collection[str], *troubles: str, takes_jobs: bool = True) -> Response:
    sources: Sources = current_app.extensions[EXTENSION]
    drain = sources.drain.read() if takes_jobs else None
    told = availability(sources.health.look(), drain, backends, troubles)
    answer = Response(availability_document(told), content_type="text/xml; charset=utf-8")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def availability(
    condition: Condition,
    drain: Drain | None,
    backends: Collection[str],
    troubles: Collection[str] = (),
) -> Availability:
    """Return what to tell of something that needs any one of ``backends`` to be well."""
    broken = sorted(condition.backends & set(backends))
    notes = [*condition.troubles, *troubles, *(f"the backend {n} cannot work now" for n in broken)]
    is_up = not (condition.troubles or troubles or (broken and len(broken) == len(backends)))
    if drain is not None:
        notes.insert(0, drain.note or "no new jobs are taken")
        return Availability(
            available=False, down_at=drain.since, back_at=drain.until, notes=tuple(notes)
        )
    return Availability(
        available=is_up, up_since=condition.since if is_up else None, notes=tuple(notes)
    )
