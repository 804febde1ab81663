"""A site as an admin runs it, and all of its processes that can be killed."""

import json
import os
import random
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import requests
from sqlalchemy import text

from tests.chaos.storm import Target
from tests.chaos.unit import Unit
from tests.chaos.witness import JOURNAL, Witness
from tests.engines.postgresql import cluster
from tests.serving import descendants, wait_until
from uwsd.database import Database
from uwsd.migrations import migrate
from uwsd.worker.processes import everybody

SCRIPT = """
line="$UWSD_JOB_ID $$ $(hostname) $(date +%s)"
echo "$line" >>started
echo "$line" 2>/dev/null >>"$0"
sleep "$1"
printf %s "$3" >result.txt
exit "$2"
"""
"""The command of every job: it tells of its start, takes a while, leaves its result and ends."""

_PYTHON = (sys.executable, "-m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running site."""

    folder: Path
    url: str
    database_url: str
    targets: tuple[Target, ...]
    units: tuple[Unit, ...] = field(repr=False)
    witness: Witness = field(repr=False)

    @property
    def joblist(self) -> str:
        """Where jobs are made."""
        return f"{self.url}/storm/async"

    @property
    def workspaces(self) -> Path:
        """The folders of the jobs."""
        return self.folder / "data" / "jobs"

    def rows(self, table: str) -> int:
        """Count what is in a table of the database."""
        return int(str(self._ask(f"SELECT count(*) FROM {table}", "")[0][0]))

    def execution(self, job_id: str) -> str:
        """Return what the supervisor knows of a job, for people."""
        return str(self._ask("SELECT * FROM execution WHERE job_id = :job_id", job_id))

    def _ask(self, query: str, job_id: str) -> Sequence[Sequence[object]]:
        with (
            closing(Database(self.database_url)) as database,
            database.read() as connection,
        ):
            values = {"job_id": job_id} if job_id else {}
            return connection.execute(text(query), values).all()


@contextmanager
def site(folder: Path, options: Mapping[str, object], *, on_postgresql: bool) -> Iterator[Site]:
    """Run a site whose jobs go to the backend that ``options`` configure.

    With the embedded database it is one ``uwsd serve``, which starts its own children. With
    PostgreSQL a web server and two supervisors are processes of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / JOURNAL
    journal.touch()
    journal.chmod(0o666)
    config = folder / "uwsd.toml"
    config.write_text(_configuration(options, journal))
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("UWSD_")},
        "UWSD_DATA": str(folder / "data"),
        "UWSD_CONFIG": str(config),
        "UWSD_PORT": str(port),
    }
    with ExitStack() as stack:
        start = _on_postgresql if on_postgresql else _embedded
        units, targets, database_url = start(stack, folder, environment)
        url = f"http://127.0.0.1:{port}"
        wait_until(partial(_answers, url), 60)
        witness = stack.enter_context(Witness(folder / "data" / "jobs", journal))
        yield Site(
            witness=witness,
            folder=folder,
            url=url,
            database_url=database_url,
            targets=targets,
            units=units,
        )


_Started = tuple[tuple[Unit, ...], tuple[Target, ...], str]


def _embedded(stack: ExitStack, folder: Path, environment: dict[str, str]) -> _Started:
    command = (*_PYTHON, "uwsd", "serve")
    server = stack.enter_context(Unit("serve", command, environment, folder))
    children = (
        Target("uwsd serve", server.kill),
        Target("gunicorn master", lambda _: _kill_one(_masters(server))),
        Target("gunicorn worker", lambda _: _kill_one(_workers(server))),
        Target("supervisor", lambda _: _kill_one(_supervisors(server))),
    )
    return (server,), children, f"sqlite:///{folder}/data/uwsd.db"


def _on_postgresql(stack: ExitStack, folder: Path, environment: dict[str, str]) -> _Started:
    made = stack.enter_context(cluster(durable=True))
    database = stack.enter_context(Unit("postgresql", made.server, os.environ, folder))
    wait_until(partial(_connects, made.url))
    environment["UWSD_DATABASE__URL"] = made.url
    _migrate(made.url)
    gunicorn = (*_PYTHON, "gunicorn", "-c", "python:uwsd.webserver", "uwsd.wsgi:app")
    web = stack.enter_context(Unit("web", gunicorn, environment, folder))
    supervise = (*_PYTHON, "uwsd", "supervise")
    supervisors = tuple(
        stack.enter_context(Unit(f"supervisor-{n}", supervise, environment, folder)) for n in "12"
    )
    targets = (
        Target("gunicorn master", web.kill),
        Target("gunicorn worker", lambda _: _kill_one(descendants(web.pid))),
        *(Target("supervisor", unit.kill) for unit in supervisors),
        Target("postgresql", database.kill_all),
    )
    return (database, web, *supervisors), targets, made.url


def job_workers(site: Site) -> Mapping[int, str]:
    """Return the workers of the jobs that run on the local backend, and whose job each has."""
    found = {}
    for status in everybody():
        with suppress(OSError):
            command = Path(f"/proc/{status.pid}/cmdline").read_bytes().decode().split("\0")
            is_worker = len(command) > 2 and command[-3].endswith("worker/__main__.py")
            if is_worker and Path(command[-2]).parent == site.workspaces:
                found[status.pid] = Path(command[-2]).name
    return found


def _masters(server: Unit) -> list[int]:
    return [pid for pid in descendants(server.pid) if descendants(pid)]


def _workers(server: Unit) -> list[int]:
    return [worker for master in _masters(server) for worker in descendants(master)]


def _supervisors(server: Unit) -> list[int]:
    return list(set(descendants(server.pid)) - {*_masters(server), *_workers(server)})


def _kill_one(pids: list[int]) -> bool:
    with suppress(IndexError, ProcessLookupError):
        os.kill(random.choice(pids), signal.SIGKILL)
        return True
    return False


def _configuration(options: Mapping[str, object], journal: Path) -> str:
    command = ["/bin/sh", "-c", SCRIPT.replace("{", "{{").replace("}", "}}")]
    command += [str(journal), "{SECONDS}", "{EXIT}", "{TEXT}"]
    backend = "".join(f"{name} = {_toml(value)}\n" for name, value in options.items())
    return f"""
[services.storm]
command = {_toml(command)}
backend = "engine"
parameters.SECONDS = {{ type = "real", range = [0, 600], default = 0 }}
parameters.EXIT = {{ type = "integer", range = [0, 255], default = 0 }}
parameters.TEXT = {{ type = "string" }}
results.result = {{ path = "result.txt", media_type = "text/plain" }}
results.started = {{ path = "started", media_type = "text/plain", required = false }}

[backends.engine]
{backend}"""


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value if isinstance(value, bool | int | float) else str(value))


def _migrate(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{url}/healthz", timeout=5).ok
    return False


def _connects(url: str) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(url.replace("postgresql+psycopg", "postgresql")).close()
        return True
    return False
