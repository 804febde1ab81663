"""What the resources share: which job list, which job, and how an answer is made."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header
from werkzeug.routing import BaseConverter

from uwsd.uws.documents import job_document
from uwsd.uws.errors import NotFound
from uwsd.uws.joblist import JobList
from uwsd.uws.resources.body import BodyLimits
from uwsd.uws.service import JobService
from uwsd.uws.store import JobStore
from uwsd.uws.waiting import Waiting
from uwsd.uws.workspace import Workspaces

_CACHED = 4096


class JobIdConverter(BaseConverter):
    """A job id in its one canonical spelling; any other is 404 before a look-up."""

    regex = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLists:
    """All that the resources work with; the application keeps it under `EXTENSION`."""

    joblists: Mapping[str, JobList]
    store: JobStore
    workspaces: Workspaces
    waiting: Waiting
    limits: BodyLimits
    max_wait: int
    documents: "OrderedDict[tuple[str, int, str], bytes]" = field(default_factory=OrderedDict)

    def service(self, name: str) -> JobService:
        """Return the verbs for this request's caller and the job list ``name``."""
        if name not in self.joblists:
            raise NotFound(f"there is no service {name} here")
        return JobService(
            joblist=self.joblists[name],
            caller=g.caller,
            store=self.store,
            workspaces=self.workspaces,
            waiting=self.waiting,
            max_wait=self.max_wait,
        )

    def document(self, jobs: JobService, job_id: str, url: str) -> bytes:
        """Return the job document; it is written once for each version of the job."""
        key = job_id, jobs.stamp(job_id).version, url
        if key in self.documents:
            self.documents.move_to_end(key)
            return self.documents[key]
        job = jobs.get(job_id)
        document = self.documents[job_id, job.version, url] = job_document(job, url)
        if len(self.documents) > _CACHED:
            self.documents.popitem(last=False)
        return document


EXTENSION = "uwsd.uws"

uws = Blueprint("uws", __name__, url_prefix="/<service>/async")


@uws.url_value_preprocessor
def _choose_job_list(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.service = (values or {}).pop("service")


@uws.before_request
def _open_job_list() -> None:
    g.jobs = job_lists().service(g.service)
    if request.method not in ("GET", "HEAD", "OPTIONS") and request.view_args:
        # A stranger learns nothing from how a body or a sub-resource is treated.
        jobs().stamp(request.view_args["job_id"])


def job_lists() -> JobLists:
    """Return what the application gave the resources to work with."""
    lists: JobLists = current_app.extensions[EXTENSION]
    return lists


def jobs() -> JobService:
    """Return the verbs for this request's caller and job list."""
    service: JobService = g.jobs
    return service


def list_url() -> str:
    """Return the absolute URL of this request's job list."""
    return f"{request.environ['uwsd.base_url']}/{g.service}/async"


def job_url(job_id: str) -> str:
    """Return the absolute URL of a job: no slash and no query at its end."""
    return f"{list_url()}/{job_id}"


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
