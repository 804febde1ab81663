"""``uwsd serve``: the web server and the supervisor, started, watched and stopped together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.error import URLError
from urllib.request import urlopen

from uwsd.config import Settings
from uwsd.migrations import migrate, require_schema
from uwsd.processes import LISTENER, PARENT, alone
from uwsd.site import open_database

_EVERYWHERE = ("0.0.0.0", "::", "")  # addresses to listen on, and not to ask at  # noqa: S104
_READY_WITHIN = 60.0
_STOP_WITHIN = 15.0
_RESTART_AFTER = 1.0
_PORT_PATIENCE = 8.0
_WATCH_EVERY = 0.1


class CannotServe(Exception):
    """The server cannot be started; the text says why and what to do."""


def serve(settings: Settings, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Run until somebody asks this process to stop. Jobs go on without it.

    ``environment`` is what the child processes get; it tells them the same settings.
    """
    busy = f"the data folder {settings.folder} is in use by another uwsd"
    with alone(settings.folder / "uwsd.lock", busy), _listen(settings) as listener:
        _prepare_database(settings)
        children = _children(environment, listener)
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            _await_ready(children, url := _local_url(settings, listener))
            say(_welcome(settings, settings.server.base_url or url))
            _watch(children, say)
        except KeyboardInterrupt:
            say("stopping; jobs that run go on, and are found again at the next start")
        finally:
            _stop(children)


@dataclass(slots=True, kw_only=True)
class _Child:
    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes]


def _prepare_database(settings: Settings) -> None:
    database = open_database(settings)
    try:
        if database.embedded:
            migrate(database)
        require_schema(database)
    finally:
        database.close()


def _listen(settings: Settings) -> socket.socket:
    """Bind here, so that a taken port is one clear sentence, and a restart loses no client."""
    host, port = settings.server.host, settings.server.port
    give_up = time.monotonic() + _PORT_PATIENCE
    while True:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, port), family=family, backlog=2048)
        except OSError as error:
            # A server that was killed a moment ago may still be closing.
            if time.monotonic() > give_up:
                raise CannotServe(
                    f"cannot listen on {host} port {port}: {error.strerror}; "
                    "choose another port with UWSD_PORT"
                ) from None
            time.sleep(_WATCH_EVERY)


def _children(environment: Mapping[str, str], listener: socket.socket) -> list[_Child]:
    descriptor = listener.fileno()
    web_environment = {**environment, LISTENER: f"fd://{descriptor}"}
    gunicorn = ("gunicorn", "-c", "python:uwsd.webserver", "uwsd.wsgi:app")
    return [
        _child("web server", gunicorn, web_environment, (descriptor,)),
        _child("supervisor", ("uwsd", "supervise", "--with-parent"), environment, ()),
    ]


def _child(
    name: str, module: tuple[str, ...], environment: Mapping[str, str], keep: tuple[int, ...]
) -> _Child:
    def start() -> subprocess.Popen[bytes]:
        # A process group of its own: Ctrl-C on the terminal is for us to pass on.
        command = (sys.executable, "-m", *module)
        told = {**environment, PARENT: str(os.getpid())}
        return subprocess.Popen(command, env=told, pass_fds=keep, process_group=0)

    return _Child(name=name, start=start, process=start())


def _await_ready(children: list[_Child], url: str) -> None:
    give_up = time.monotonic() + _READY_WITHIN
    while not _answers(f"{url}/healthz"):
        for child in children:
            if child.process.poll() is not None:
                raise CannotServe(f"the {child.name} did not start; its message is above")
        if time.monotonic() > give_up:
            raise CannotServe(f"no answer at {url} after {_READY_WITHIN:.0f} s")
        time.sleep(_WATCH_EVERY)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):  # noqa: S310 - our own URL
            return True
    except (URLError, OSError):
        return False


def _watch(children: list[_Child], say: Callable[[str], None]) -> None:
    while True:
        for child in children:
            status = child.process.poll()
            if status is not None:
                say(f"the {child.name} ended with status {status}; starting it again")
                time.sleep(_RESTART_AFTER)
                child.process = child.start()
        time.sleep(_WATCH_EVERY)


def _stop(children: list[_Child]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for child in children:
        child.process.terminate()
    give_up = time.monotonic() + _STOP_WITHIN
    for child in children:
        try:
            child.process.wait(max(0.0, give_up - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _local_url(settings: Settings, listener: socket.socket) -> str:
    host, port = settings.server.host, listener.getsockname()[1]
    name = "127.0.0.1" if host in _EVERYWHERE else host
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def _welcome(settings: Settings, url: str) -> str:
    name = "demo" if "demo" in settings.services else next(iter(settings.services), "SERVICE")
    return f"""
uwsd is ready at {url}

  browser  {url}/
  curl     curl -sL -d TEXT=hello -d PHASE=RUN {url}/{name}/async
  pyvo     python -c "import pyvo; \\
             job = pyvo.dal.AsyncTAPJob.create('{url}/{name}', None, TEXT='hello'); \\
             job.run().wait(); print(job.result_uri)"

Ctrl-C stops it; jobs that run go on.
"""
