"""The servers that are measured: real ones, and the constant one beside them."""

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.web import address_of, connect, exchange, request
from tests.engines.postgresql import fresh_database, postgresql
from tests.serving import Server, descendants
from uwsd.database import Database
from uwsd.processes import LISTENER


class Site:
    """A server with the bundled services on a new data folder."""

    def __init__(self, server: Server, database_url: str) -> None:
        assert server.process is not None
        masters = [pid for pid in descendants(server.process.pid) if descendants(pid)]
        self.url = f"{server.url}/demo/async"
        self.address = address_of(server.url)
        self.database_url = database_url
        self.web = tuple(descendants(masters[0]))  #: the processes that answer requests

    def __str__(self) -> str:
        database = "SQLite" if self.database_url.startswith("sqlite") else "PostgreSQL"
        return f"{database} x{len(self.web)}"


def allow_clients() -> None:
    """Let this process, and those it starts, open as many connections as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def constant(workers: int = 1) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Serve a constant string with uwsd's own settings of gunicorn; give its URL and processes."""
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
        url = f"http://127.0.0.1:{on.getsockname()[1]}/"
        try:
            with connect(on.getsockname()) as connection:
                exchange(connection, request(url, keep=False))
            yield url, tuple(descendants(process.pid))
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def site(*, workers: int = 1, on_postgresql: bool = False) -> Iterator[Site]:
    """Serve the bundled services."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="uwsd-bench-")))
        settings = {"UWSD_SERVER__WORKERS": str(workers), "UWSD_DATA": str(folder / "data")}
        database_url = f"sqlite:///{folder}/data/uwsd.db"
        if on_postgresql:
            database_url = stack.enter_context(_database(settings))
        server = Server(folder / "data", None, **settings).start()
        stack.callback(server.stop)
        yield Site(server, database_url)


@contextmanager
def _database(settings: dict[str, str]) -> Iterator[str]:
    with postgresql(durable=True) as server, fresh_database(server) as url:
        settings["UWSD_DATABASE__URL"] = url
        command = (sys.executable, "-m", "uwsd", "migrate")
        subprocess.run(command, env=os.environ | settings, check=True, capture_output=True)
        yield url


def resident(pids: tuple[int, ...]) -> float:
    """Return the MiB of memory that the largest of the processes has."""
    return max(int(_status(pid, "VmRSS")) / 1024 for pid in pids)


def threads(pids: tuple[int, ...]) -> int:
    """Return how many threads the processes have."""
    return sum(int(_status(pid, "Threads")) for pid in pids)


def busy(pids: tuple[int, ...]) -> float:
    """Return the seconds for which the processes have had a core."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def _status(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def statements(database_url: str) -> int | None:
    """Return how many transactions PostgreSQL has seen; None for SQLite, which does not count."""
    database = Database(database_url)
    try:
        if database.embedded:
            return None
        with database.read() as connection:
            query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            return int(connection.exec_driver_sql(query).scalar_one())
    finally:
        database.close()
