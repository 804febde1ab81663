"""gunicorn's configuration: ``gunicorn -c python:uwsd.webserver uwsd.wsgi:app``.

Every name here is one of gunicorn's settings, or one of its hooks.
"""

import gc
import logging
import os
import threading
import time

from gunicorn.arbiter import Arbiter
from gunicorn.http import wsgi
from gunicorn.workers.base import Worker

from uwsd import __version__
from uwsd.config import load
from uwsd.processes import LISTENER, PARENT, allow_descriptors, die_with_parent

_FULL_COLLECTION = 1000
"""How many collections of the middle generation go before a full one; Python has 10."""

# gunicorn writes this into the Server header, whatever the application says.
wsgi.SERVER = f"uwsd/{__version__}"

_LONGEST_MESSAGE = 300

_settings = load(None, os.environ).server

bind = os.environ.get(LISTENER) or f"{_settings.host}:{_settings.port}"
backlog = 2048
workers = _settings.workers
worker_class = "gevent"
worker_connections = _settings.worker_connections
keepalive = 10
timeout = 60
graceful_timeout = 5
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 16384

# Only uwsd.edge decides which proxy is believed. gunicorn's own trust in loopback would let
# any local client choose SCRIPT_NAME.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
header_map = "drop"

control_socket_disable = True
loglevel = "warning"
proc_name = "uwsd"

_OTHER_DESCRIPTORS = 500
"""Connections to the database, files that are sent, the feed."""


def on_starting(server: Arbiter) -> None:
    """Make room for the clients; do not outlive `uwsd serve`, if that has started us."""
    needed = worker_connections + _OTHER_DESCRIPTORS
    if (room := allow_descriptors(needed)) < needed:
        server.log.warning(
            "a process may open %d files here, and %d clients need %d; raise LimitNOFILE or "
            "`ulimit -Hn`, or lower server.worker_connections",
            *(room, worker_connections, needed),
        )
    if PARENT in os.environ:
        die_with_parent()


def post_worker_init(worker: Worker) -> None:
    """Keep the log short, and answer open WAITs as soon as this worker is asked to stop."""
    worker.log.error_log.addFilter(_shorten)
    collect_seldom()
    threading.Thread(target=_stop_waiting, args=(worker,), daemon=True).start()


def collect_seldom() -> None:
    """Keep full garbage collections away: they stop everybody, for longer the more WAITs there are.

    What a request leaves behind is freed at once, by counting.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], _FULL_COLLECTION)


def _shorten(record: logging.LogRecord) -> bool:
    """Cut what gunicorn says of a bad request: it quotes all of what the client has sent."""
    message = record.getMessage()
    if len(message) > _LONGEST_MESSAGE:
        record.msg, record.args = f"{message[:_LONGEST_MESSAGE]}...", ()
    return True


def _stop_waiting(worker: Worker) -> None:
    from uwsd.app import stop_waiting  # noqa: PLC0415 - in the worker, after monkey-patching
    from uwsd.wsgi import app  # noqa: PLC0415

    while worker.alive:
        time.sleep(0.2)
    stop_waiting(app)
