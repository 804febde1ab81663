"""The web application: the only place where the parts meet."""

import logging
from http import HTTPStatus
from ipaddress import ip_network

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from uwsd.auth.identity import add_identity
from uwsd.config import Settings
from uwsd.dali.endpoints import dali
from uwsd.database import DATABASE_FAULTS, Aside, at_once, log_fault
from uwsd.drain import DrainFile
from uwsd.edge import Edge
from uwsd.health import Health
from uwsd.heartbeat import HeartbeatFile
from uwsd.pages import pages
from uwsd.registry.oai.service import OaiService
from uwsd.registry.oai.token import signing_key
from uwsd.registry.oai.view import EXTENSION as OAI
from uwsd.registry.oai.view import oai
from uwsd.registry.site import FILE
from uwsd.registry.store import RecordStore
from uwsd.rights import anonymous_rights, authentication
from uwsd.room import NoRoom, is_lack_of_room
from uwsd.site import Site
from uwsd.staging import staging
from uwsd.uws.errors import Unavailable, UwsError
from uwsd.uws.resources import uws
from uwsd.uws.resources.blueprint import EXTENSION, JobIdConverter, JobLists
from uwsd.uws.resources.body import BodyLimits, close_spooled
from uwsd.uws.waiting import Waiting
from uwsd.vosi.availability import EXTENSION as AVAILABILITY
from uwsd.vosi.availability import Sources
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
    app.extensions[AVAILABILITY] = _availability(site)
    app.extensions[OAI] = _oai(site)
    add_identity(app, authentication(settings), is_desk=settings.server.is_desk)
    app.register_blueprint(uws)
    app.register_blueprint(pages)
    app.register_blueprint(vosi)
    app.register_blueprint(dali)
    app.register_blueprint(oai)
    app.register_blueprint(staging)
    _add_manners(app)
    app.add_url_rule("/healthz", "healthz", _healthz)
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
        rights=anonymous_rights(site.settings),
        store=site.store,
        workspaces=site.workspaces,
        waiting=Waiting(site.feed.listen(), room=server.max_waits),
        max_wait=server.max_wait,
        admit=DrainFile(site.settings.folder).admit,
        require_room=site.room.require,
        limits=BodyLimits(
            body=server.max_body,
            fields=server.max_fields,
            name=server.max_name,
            value=server.max_value,
            spool=spool,
        ),
    )


def _availability(site: Site) -> Sources:
    folder = site.settings.folder
    health = Health(
        database=site.database,
        workspaces=site.workspaces.root,
        room=site.room,
        heartbeat=HeartbeatFile(folder),
        tick=site.settings.supervisor.tick,
    )
    return Sources(health=health, drain=DrainFile(folder))


def _oai(site: Site) -> OaiService:
    settings = site.settings
    return OaiService(
        store=RecordStore(site.database),
        site_file=settings.registry_folder / FILE,
        url=f"{settings.public_url}/oai",
        key=signing_key(settings.folder / "oai.key"),
        page_size=settings.registry.page_size,
    )


def _add_manners(app: Flask) -> None:
    """Answer errors as text, and keep browsers from taking an answer for more than it is."""

    @app.errorhandler(UwsError)
    def refuse(error: UwsError) -> Response:
        answer = _plain(str(error), error.status)
        if isinstance(error, Unavailable):
            answer.headers["Retry-After"] = str(error.retry_after)
        return answer

    @app.errorhandler(HTTPException)
    def not_so(error: HTTPException) -> Response:
        answer = _plain(error.description or "", error.code or 500)
        answer.headers.extend(
            (name, value) for name, value in error.get_headers() if name != "Content-Type"
        )
        return answer

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        if is_lack_of_room(error):  # the log may be on that disk
            _log.warning("%s %r: %s", request.method, request.path, error)
            return refuse(NoRoom())
        if isinstance(error, DATABASE_FAULTS):
            log_fault(_log, error, f"{request.method} {request.path!r}")
            return refuse(Unavailable("the database cannot be used now; try again"))
        _log.exception("%s %r", request.method, request.path)
        return _plain("something broke here; the log of the server tells what", 500)

    @app.after_request
    def protect(answer: Response) -> Response:
        # setdefault would look through all of them each time.
        there = {name.lower() for name, _ in answer.headers}
        answer.headers.extend((n, v) for n, v in _PROTECTION.items() if n.lower() not in there)
        return answer

    app.teardown_request(close_spooled)


def _plain(message: str, status: int) -> Response:
    phrase = HTTPStatus(status).phrase
    return Response(f"{message or phrase}\n", status=status, mimetype="text/plain")


def _healthz() -> Response:
    return Response("ok\n", mimetype="text/plain")
