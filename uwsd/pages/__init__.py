"""HTML for people, at the same URLs: only where a browser asks for it and likes it better.

A browser says ``application/xhtml+xml``; other clients name text/html first and mean XML.
Every page works without JavaScript, since UWS's own POST and 303 are all that is needed.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from flask import (
    Blueprint,
    Response,
    g,
    make_response,
    redirect,
    render_template,
    request,
    send_file,
)

from uwsd.auth.identity import authentication
from uwsd.capabilities.base import Capability
from uwsd.uws.errors import NotFound, Unauthorized
from uwsd.uws.job import LOGS, Job
from uwsd.uws.phase import Phase
from uwsd.uws.resources.blueprint import is_browser, job_lists, job_url, jobs, list_url, uws
from uwsd.uws.resources.body import read_query
from uwsd.uws.resources.joblist import filters_in
from uwsd.uws.times import to_text

pages = Blueprint("pages", __name__, template_folder="templates")

_STYLE = Path(__file__).parent / "static" / "uwsd.css"
_SHOWN = 100
_TAIL = 16 * 1024
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@pages.get("/")
def landing() -> Response:
    """Show what this site offers."""
    return _page("landing.html", services=_capabilities())


@pages.get("/<service>")
def service_page(service: str) -> Response:
    """Show what a service does, a form for it, and how to call it from elsewhere."""
    capability = _capabilities().get(service)
    if capability is None:
        raise NotFound(f"there is no service {service} here")
    url = f"{_base_url()}/{service}"
    return _page(
        "service.html", service=capability, list_url=f"{url}/async", sync_url=f"{url}/sync"
    )


@pages.get("/login")
def login() -> Response:
    """Have the browser ask for a name and a password; afterwards it sends them by itself."""
    if g.caller.is_anonymous and not authentication().challenges():
        raise NotFound("there is nobody who could log in here")
    if g.caller.is_anonymous:
        raise Unauthorized("log in")
    return make_response(redirect(f"{_base_url()}/", 303))


@pages.get("/static/uwsd.css")
def style() -> Response:
    """Send the style sheet."""
    answer = send_file(_STYLE, mimetype="text/css", max_age=3600)
    answer.headers["Cache-Control"] = "public, max-age=3600"
    return answer


@uws.before_request
def show() -> Response | None:
    """Answer a browser's GET of a job or of the list with a page; leave all else alone."""
    match request.endpoint:
        case "uws.get_job" if _wants_html():
            return _job_page((request.view_args or {})["job_id"])
        case "uws.get_jobs" if _wants_html():
            return _list_page()
        case _:
            return None


def _wants_html() -> bool:
    return request.method in ("GET", "HEAD") and is_browser()


def _list_page() -> Response:
    filters = filters_in(read_query(job_lists().limits))
    filters = replace(filters, last=min(filters.last or _SHOWN, _SHOWN))
    return _page(
        "joblist.html",
        service=jobs().joblist,
        jobs=list(jobs().find(filters)),
        chosen=filters.phases,
        phases=list(Phase),
        list_url=list_url(),
        shown=_SHOWN,
    )


def _job_page(job_id: str) -> Response:
    job = jobs().get(job_id)
    return _page(
        "job.html",
        service=jobs().joblist,
        job=job,
        url=job_url(job_id),
        list_url=list_url(),
        logs={name: _tail(job, name) for name in LOGS},
        may_run=job.phase in (Phase.PENDING, Phase.HELD),
    )


def _tail(job: Job, result_id: str) -> str:
    """Return the end of a log."""
    result = job.result(result_id)
    return "" if result is None else job_lists().workspaces.tail(job.id, result.path, _TAIL)


def _capabilities() -> Mapping[str, Capability]:
    return {n: c for n, c in job_lists().joblists.items() if isinstance(c, Capability)}


def _base_url() -> str:
    return str(request.environ["uwsd.base_url"])


def _page(template: str, **values: object) -> Response:
    html = render_template(
        template,
        **values,
        base_url=_base_url(),
        instant=to_text,
        user=g.caller.name,
        may_log_in=bool(authentication().challenges()),
        version=version("uwsd"),
    )
    answer = make_response(html)
    answer.headers["Content-Security-Policy"] = _POLICY
    # With no-referrer browsers write ``Origin: null`` into our own forms, as if they were foreign.
    answer.headers["Referrer-Policy"] = "same-origin"
    answer.vary.add("Accept")
    return answer
