"""What the resources share: which job list, which job, and how an answer is made."""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header
from werkzeug.routing import BaseConverter

from uwsd.uws.access import AnonymousRights
from uwsd.uws.documents import job_document
from uwsd.uws.errors import NotFound
from uwsd.uws.joblist import JobList
from uwsd.uws.resources.body import BodyLimits
from uwsd.uws.service import JobService
from uwsd.uws.store import JobStore, Stamp
from uwsd.uws.waiting import Waiting
from uwsd.uws.workspace import Workspaces

_XHTML = "application/xhtml+xml"
_CACHED = 4096
_CACHEABLE = 16 * 1024
"""Bytes of a document; a few jobs with long parameters must not fill the memory."""


class JobIdConverter(BaseConverter):
    """A job id in its one canonical spelling; any other is 404 before a look-up."""

    regex = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLists:
    """All that the resources work with; the application keeps it under `EXTENSION`."""

    joblists: Mapping[str, JobList]
    rights: Mapping[str, AnonymousRights]  #: by the names of the job lists
    store: JobStore
    workspaces: Workspaces
    waiting: Waiting
    limits: BodyLimits
    max_wait: int
    admit: Callable[[], None]  #: raises `uwsd.uws.errors.Unavailable` while no job is taken
    require_room: Callable[[], None]  #: raises it while no job can be run
    documents: "OrderedDict[tuple[str, int, str], bytes]" = field(default_factory=OrderedDict)

    def service(self, name: str) -> JobService:
        """Return the verbs for this request's caller and the job list ``name``."""
        if name not in self.joblists:
            raise NotFound(f"there is no service {name} here")
        return JobService(
            joblist=self.joblists[name],
            caller=g.caller,
            rights=self.rights[name],
            store=self.store,
            workspaces=self.workspaces,
            waiting=self.waiting,
            max_wait=self.max_wait,
            admit=self.admit,
            require_room=self.require_room,
        )

    def document(self, jobs: JobService, job_id: str, stamp: Stamp, url: str) -> bytes:
        """Return the job document; it is written once for each version of the job."""
        key = job_id, stamp.version, url
        if key in self.documents:
            self.documents.move_to_end(key)
            return self.documents[key]
        job = jobs.get(job_id)
        document = job_document(job, url)
        if len(document) <= _CACHEABLE:
            self.documents[job_id, job.version, url] = document
        if len(self.documents) > _CACHED:
            self.documents.popitem(last=False)
        return document


EXTENSION = "uwsd.uws"

_BELOW_A_JOB = re.compile(
    rf"/(?P<service>[^/]+)/async/(?P<job_id>{JobIdConverter.regex})(?:/.*)?", re.DOTALL
)

uws = Blueprint("uws", __name__, url_prefix="/<service>")


@uws.url_value_preprocessor
def _choose_job_list(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.service = (values or {}).pop("service")


@uws.before_app_request
def _keep_strangers_out() -> None:
    """Decide who may have a job before anything else is looked at, an unknown URL below it too.

    A stranger learns nothing from how a sub-resource, a method, a query or a body is treated.
    """
    if request.routing_exception and (below := _BELOW_A_JOB.fullmatch(request.path)):
        job_lists().service(below["service"]).stamp(below["job_id"])


@uws.before_request
def _open_job_list() -> None:
    g.jobs = job_lists().service(g.service)
    if (job_id := (request.view_args or {}).get("job_id")) is not None:
        g.stamp = job_id, jobs().stamp(job_id)
    elif request.method == "POST" or is_sync():
        jobs().require_creation()


def is_sync() -> bool:
    """Whether this request makes a job whatever its method is (DALI 1.2 section 2.2)."""
    return request.url_rule is not None and request.url_rule.rule == "/<service>/sync"


def job_lists() -> JobLists:
    """Return what the application gave the resources to work with."""
    lists: JobLists = current_app.extensions[EXTENSION]
    return lists


def jobs() -> JobService:
    """Return the verbs for this request's caller and job list."""
    service: JobService = g.jobs
    return service


def stamp(job_id: str) -> Stamp:
    """Return the stamp of this request's job, as it was when the caller was let in."""
    known: tuple[str, Stamp] = g.stamp
    assert known[0] == job_id
    return known[1]


def list_url() -> str:
    """Return the absolute URL of this request's job list."""
    return f"{request.environ['uwsd.base_url']}/{g.service}/async"


def job_url(job_id: str) -> str:
    """Return the absolute URL of a job: no slash and no query at its end."""
    return f"{list_url()}/{job_id}"


def is_browser() -> bool:
    """Whether a browser asks, and ranks a page above XML (UWS 1.1 section 2.2.2).

    Some programs name text/html as well, and mean XML; none names XHTML.
    """
    accepted = request.accept_mimetypes
    xml = max(accepted["application/xml"], accepted["text/xml"])
    is_named = _XHTML in list(accepted.values())  # and not only meant by a wildcard
    return is_named and accepted[_XHTML] > xml


def see(url: str) -> Response:
    """Answer a change with 303 and an absolute Location (2.2.3)."""
    answer = Response(f"{url}\n", status=303, mimetype="text/plain")
    answer.location = url
    return answer


def text(value: str) -> Response:
    """Answer with a bare value: no newline, no markup (2.2.2)."""
    return Response(value, mimetype="text/plain")


def xml(document: bytes | Iterable[bytes]) -> Response:
    """Answer with XML: text/xml, unless only application/xml is asked for (2.2.2)."""
    answer = Response(document, mimetype=_kind_of_xml(request.headers.get("Accept")))
    answer.headers.add("Vary", "Accept")
    return answer


@lru_cache
def _kind_of_xml(accept: str | None) -> str:
    accepted = parse_accept_header(accept, MIMEAccept)
    wants_application = accepted["application/xml"] > accepted["text/xml"]
    return "application/xml" if wants_application else "text/xml"
