"""The servers that are measured: real ones, and the constant one beside them."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.web import Unexpected, connect, exchange, request
from tests.serving import Server
from uwsd.processes import LISTENER


@contextmanager
def constant(workers: int = 1) -> Iterator[str]:
    """Serve a constant string with uwsd's own settings of gunicorn."""
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0), backlog=2048) as on:
        environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith("UWSD_")},
            "UWSD_DATA": folder,
            "UWSD_SERVER__WORKERS": str(workers),
            LISTENER: f"fd://{on.fileno()}",
        }
        gunicorn = "-m", "gunicorn", "-c", "python:benchmarks.constant_server"
        command = (sys.executable, *gunicorn, "benchmarks.constant:app")
        process = subprocess.Popen(command, env=environment, pass_fds=[on.fileno()])
        url = "http://127.0.0.1:{1}/".format(*on.getsockname())
        try:
            with connect(on.getsockname()) as connection:
                exchange(connection, request(url, keep=False))
            yield url
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def site(*, workers: int = 1, **environment: str) -> Iterator[Server]:
    """Serve the bundled services from a new data folder."""
    with TemporaryDirectory(prefix="uwsd-bench-") as folder:
        settings = {"UWSD_SERVER__WORKERS": str(workers), **environment}
        server = Server(Path(folder) / "data", None, **settings).start()
        try:
            yield server
        finally:
            server.stop()


def create(server: Server, **form: str) -> str:
    """Make a job of the service `demo`; return its URL."""
    url = f"{server.url}/demo/async"
    with connect(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
        answer = exchange(connection, request(url, form, keep=False))
    if answer.status != 303:
        raise Unexpected(answer.head)
    return answer.head.partition("\r\nLocation: ")[2].partition("\r\n")[0]
