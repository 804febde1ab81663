"""The whole server on PostgreSQL: jobs end to end, and one supervisor at a time."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from tests.engines.postgresql import fresh_database
from tests.serving import Server, finished, wait_until


@pytest.fixture
def database_url(postgresql_server: str) -> Iterator[str]:
    with fresh_database(postgresql_server) as url:
        yield url


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """What a site on that database, with its schema, is told."""
    told = {"UWSD_DATABASE__URL": database_url, "UWSD_DATA": str(tmp_path / "data")}
    migrated = uwsd("migrate", told)
    _, said = migrated.communicate(timeout=60)
    assert migrated.returncode == 0, said
    return told


def uwsd(verb: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "uwsd", verb)
    path = {"PATH": os.environ["PATH"]}
    return subprocess.Popen(command, env=environment | path, stderr=subprocess.PIPE, text=True)


def test_a_server_on_postgresql_runs_jobs_and_has_one_supervisor_at_a_time(
    environment: dict[str, str],
) -> None:
    data = Path(environment["UWSD_DATA"])
    server = Server(data, None, **environment).start()
    standby = uwsd("supervise", environment)
    try:
        form = {"TEXT": "a", "SECONDS": "2", "PHASE": "RUN"}
        job = requests.post(f"{server.url}/demo/async", data=form, timeout=60).url
        assert finished(job) == "COMPLETED"
        assert requests.get(f"{job}/results/result", timeout=60).text == "a"
        assert requests.get(f"{job}/results/stdout", timeout=60).text.count("taking") == 1
        log = f"{server.url}/demo/async"
        running = requests.post(log, data={"SECONDS": "60", "PHASE": "RUN"}, timeout=60).url
        wait_until(lambda: requests.get(f"{running}/phase", timeout=60).text == "EXECUTING")
        requests.post(f"{running}/phase", data={"PHASE": "ABORT"}, timeout=60)
        assert requests.delete(running, timeout=60).ok
        wait_until(lambda: not (data / "jobs" / running.rpartition("/")[2]).exists())
        assert standby.poll() is None
    finally:
        standby.send_signal(signal.SIGTERM)
        standby.communicate(timeout=20)
        server.stop()
    assert "Traceback" not in server.log


def test_when_the_supervisor_is_killed_another_takes_over(
    database_url: str, environment: dict[str, str]
) -> None:
    first = uwsd("supervise", environment)
    wait_until(lambda: _holder(database_url) is not None)
    held_by_first = _holder(database_url)
    second = uwsd("supervise", environment)
    try:
        first.kill()
        first.communicate()
        wait_until(lambda: _holder(database_url) not in (None, held_by_first), patience=10)
    finally:
        second.terminate()
        second.communicate(timeout=20)


def test_a_supervisor_that_is_not_sure_to_be_alone_ends(
    database_url: str, environment: dict[str, str]
) -> None:
    environment["UWSD_SUPERVISOR__TICK"] = "0.1"
    supervisor = uwsd("supervise", environment)
    wait_until(lambda: _holder(database_url) is not None)
    with psycopg.connect(_conninfo(database_url)) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (_holder(database_url),))
    _, said = supervisor.communicate(timeout=20)
    assert supervisor.returncode == 1
    assert "the connection that kept others out is lost" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("verb", ["serve", "supervise", "migrate"])
def test_a_database_that_is_not_there_is_one_sentence(verb: str, tmp_path: Path) -> None:
    nowhere = f"postgresql+psycopg://u:hunter2@/d?host={tmp_path}"
    environment = {"UWSD_DATABASE__URL": nowhere, "UWSD_DATA": str(tmp_path / "data")}
    failed = uwsd(verb, environment)
    _, said = failed.communicate(timeout=60)
    assert failed.returncode == 1
    assert "No such file or directory" in said
    assert "Traceback" not in said
    assert "hunter2" not in said


def _holder(url: str) -> int | None:
    """Return the session that holds the supervisors' lock."""
    # The server has other databases, with supervisors of their own.
    query = (
        "SELECT pid FROM pg_locks JOIN pg_database ON oid = database"
        " WHERE datname = current_database() AND locktype = 'advisory' AND granted"
    )
    with psycopg.connect(_conninfo(url)) as connection:
        row = connection.execute(query).fetchone()
        return None if row is None else int(row[0])


def _conninfo(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")
