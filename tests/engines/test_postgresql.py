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


def uwsd(verb: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "uwsd", verb)
    return subprocess.Popen(command, env={**environment, "PATH": os.environ["PATH"]})


def test_a_server_on_postgresql_runs_jobs_and_has_one_supervisor_at_a_time(
    database_url: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    environment = {"UWSD_DATABASE__URL": database_url, "UWSD_DATA": str(data)}
    assert uwsd("migrate", environment).wait(60) == 0
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
        standby.wait(20)
        server.stop()
    assert "Traceback" not in server.log


def test_when_the_supervisor_is_killed_another_takes_over(
    database_url: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    environment = {"UWSD_DATABASE__URL": database_url, "UWSD_DATA": str(data)}
    assert uwsd("migrate", environment).wait(60) == 0
    first = uwsd("supervise", environment)
    wait_until(lambda: _holder(database_url) is not None)
    held_by_first = _holder(database_url)
    second = uwsd("supervise", environment)
    try:
        first.kill()
        first.wait()
        wait_until(lambda: _holder(database_url) not in (None, held_by_first), patience=10)
    finally:
        second.terminate()
        second.wait(20)


def _holder(url: str) -> int | None:
    """Return the session that holds the supervisors' lock."""
    query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        row = connection.execute(query).fetchone()
        return None if row is None else int(row[0])
