"""The web application: the only place where the parts meet."""

import logging
from http import HTTPStatus
from ipaddress import ip_network

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from uwsd.config import Settings
from uwsd.database import DATABASE_FAULTS, Aside, at_once
from uwsd.edge import Edge, is_loopback
from uwsd.pages import pages
from uwsd.site import Site
from uwsd.uws.access import Caller
from uwsd.uws.errors import UwsError
from uwsd.uws.resources import uws
from uwsd.uws.resources.blueprint import EXTENSION, JobIdConverter, JobLists
from uwsd.uws.resources.body import BodyLimits, close_spooled
from uwsd.uws.waiting import Waiting
from uwsd.vosi.capabilities import vosi

_log = logging.getLogger(__name__)

_PROTECTION = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}


def create_app(settings: Settings, aside: Aside = at_once) -> Flask:
    """Make the application that a WSGI server runs; one for each process.

    ``aside`` is how this process waits for the disk.
    """
    site = Site.open(settings, aside)
    if not site.database.embedded:
        from uwsd.uws.feed_postgresql import require_cooperative  # noqa: PLC0415 - an extra

        require_cooperative()
    app = Flask("uwsd", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["job_id"] = JobIdConverter
    app.extensions[EXTENSION] = _job_lists(site)
    app.register_blueprint(uws)
    app.register_blueprint(pages)
    app.register_blueprint(vosi)
    _add_identity(app, settings)
    _add_manners(app)
    app.add_url_rule("/healthz", view_func=_healthz)
    server = settings.server
    proxies = [ip_network(network) for network in server.trusted_proxies]
    app.wsgi_app = Edge(app.wsgi_app, base_url=server.base_url, proxies=proxies)  # type: ignore[assignment, method-assign]
    return app


def stop_waiting(app: Flask) -> None:
    """Answer every open WAIT at once, as when the process is about to end."""
    lists: JobLists = app.extensions[EXTENSION]
    lists.waiting.close()


def _job_lists(site: Site) -> JobLists:
    server = site.settings.server
    spool = site.settings.folder / "spool"
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    return JobLists(
        joblists=site.capabilities,
        store=site.store,
        workspaces=site.workspaces,
        waiting=Waiting(site.feed.listen(), room=server.max_waits),
        max_wait=server.max_wait,
        limits=BodyLimits(
            body=server.max_body,
            fields=server.max_fields,
            name=server.max_name,
            value=server.max_value,
            spool=spool,
        ),
    )


def _add_identity(app: Flask, settings: Settings) -> None:
    listed = settings.auth.list_anonymous
    if listed is None:
        # Who listens on loopback alone is somebody's desk: the jobs there are theirs.
        listed = is_loopback(settings.server.host)
    anonymous = Caller(lists_anonymous=listed)

    @app.before_request
    def identify() -> None:
        g.caller = anonymous


def _add_manners(app: Flask) -> None:
    """Answer errors as text, and keep browsers from taking an answer for more than it is."""

    @app.errorhandler(UwsError)
    def refuse(error: UwsError) -> Response:
        return _plain(str(error), error.status)

    @app.errorhandler(HTTPException)
    def not_so(error: HTTPException) -> Response:
        answer = _plain(error.description or "", error.code or 500)
        answer.headers.extend(
            (name, value) for name, value in error.get_headers() if name != "Content-Type"
        )
        return answer

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        _log.exception("%s %s", request.method, request.path)
        if isinstance(error, DATABASE_FAULTS):
            answer = _plain("the database cannot be used now; try again", 503)
            answer.headers["Retry-After"] = "5"
            return answer
        return _plain("something broke here; the log of the server tells what", 500)

    @app.after_request
    def protect(answer: Response) -> Response:
        there = {name.lower() for name, _ in answer.headers}
        for name, value in _PROTECTION.items():
            if name.lower() not in there:  # setdefault would look through all of them each time
                answer.headers.add(name, value)
        return answer

    app.teardown_request(close_spooled)


def _plain(message: str, status: int) -> Response:
    phrase = HTTPStatus(status).phrase
    return Response(f"{message or phrase}\n", status=status, mimetype="text/plain")


def _healthz() -> Response:
    return Response("ok\n", mimetype="text/plain")
