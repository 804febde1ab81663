"""Installations with something wrong, and what the doctor says of it."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from uwsd.config import load
from uwsd.database import Database
from uwsd.doctor import installation
from uwsd.doctor.findings import Finding, Mark
from uwsd.drain import Drain, DrainFile
from uwsd.heartbeat import Heartbeat, HeartbeatFile
from uwsd.migrations import migrate
from uwsd.uws import times
from uwsd.uws.workspace import Workspaces


class Fault(NamedTuple):
    """Something wrong with an installation, by its environment or in its data folder."""

    what: str
    mark: Mark
    words: str
    environment: dict[str, str] = {}  # noqa: RUF012 - it is only read
    do: Callable[[Path], object] = lambda _: None


def silent(data: Path, seconds: int) -> None:
    at = times.now() - timedelta(seconds=seconds)
    HeartbeatFile(data).beat(Heartbeat(since=at, at=at))


def another_schema(data: Path) -> None:
    with sqlite3.connect(data / "uwsd.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def old_job(data: Path, job_id: str) -> None:
    folder = Workspaces(data / "jobs").prepare(job_id)
    os.utime(folder, (0, 0))


def write(data: Path, name: str, mode: int) -> None:
    (data / name).write_text("")
    (data / name).chmod(mode)


def remove(data: Path) -> None:
    shutil.rmtree(data)
    data.write_text("a file stands where the folder should be")


PUBLIC = "https://jobs.example.org/uwsd"
NOBODY = {"UWSD_DATABASE__URL": "postgresql+psycopg://u:secret@127.0.0.1:9/d"}
FAULTS = [
    Fault(
        "strays", Mark.WARNING, "1 jobs that have run, such as abc", do=lambda d: old_job(d, "abc")
    ),
    Fault("data-folder", Mark.BROKEN, "cannot be written", do=remove),
    Fault("data-folder", Mark.WARNING, "others may look", do=lambda data: data.chmod(0o755)),
    Fault("disk", Mark.BROKEN, "no new jobs are taken", {"UWSD_DATA__RESERVE": "999 TB"}),
    Fault("database", Mark.BROKEN, "9999", do=another_schema),
    Fault("database", Mark.BROKEN, "Connection refused", NOBODY),
    Fault(
        "clock", Mark.BROKEN, "is behind", do=lambda data: os.utime(data / "uwsd.db", (2e9, 2e9))
    ),
    Fault("base-url", Mark.BROKEN, "none but loopback", {"UWSD_SERVER__HOST": "0.0.0.0"}),
    Fault("base-url", Mark.WARNING, "in clear", {"UWSD_SERVER__BASE_URL": "http://example.org"}),
    Fault("base-url", Mark.GOOD, PUBLIC, {"UWSD_SERVER__BASE_URL": PUBLIC}),
    Fault("proxy", Mark.WARNING, "each client", {"UWSD_SERVER__BASE_URL": PUBLIC}),
    Fault("users", Mark.BROKEN, "nobody can log in", do=lambda data: write(data, "users", 0o644)),
    Fault(
        "service",
        Mark.WARNING,
        "jobs of sed will fail",
        {"UWSD_SERVICES__SED__REQUIRES": '["/no"]'},
    ),
    Fault("supervisor", Mark.WARNING, "yet"),
    Fault("supervisor", Mark.GOOD, "at work since", do=lambda data: silent(data, 20)),
    Fault("supervisor", Mark.BROKEN, "said nothing for 40 s", do=lambda data: silent(data, 40)),
    Fault(
        "drain",
        Mark.WARNING,
        "no new jobs",
        do=lambda data: DrainFile(data).write(Drain(since=times.now())),
    ),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    database = Database.in_file(data / "uwsd.db")
    migrate(database)
    database.close()
    return data


def findings(data: Path, **environment: str) -> dict[str, Finding]:
    settings = load(None, {"UWSD_DATA": str(data), **environment})
    found = {}
    for finding in installation.examine(settings):
        found[finding.what] = finding
        if finding.mark is Mark.BROKEN and finding.what in installation.VITAL:
            break
    return found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.what}: {fault.words}")
def test_what_is_wrong_is_told_with_its_fix(data: Path, fault: Fault) -> None:
    fault.do(data)
    found = findings(data, **fault.environment)
    assert (found[fault.what].mark, fault.words in found[fault.what].found) == (fault.mark, True), (
        found[fault.what]
    )
    assert bool(found[fault.what].fix) is (fault.mark is not Mark.GOOD)
    assert not any("secret" in one.found for one in found.values())


def test_a_new_installation_lacks_nothing_but_a_start(data: Path) -> None:
    found = findings(data)
    assert {one.what for one in found.values() if one.mark is not Mark.GOOD} <= {
        "account",  # root, in CI
        "supervisor",
        "service",  # the bundled one that needs `make example`
    }


def test_a_database_that_hangs_is_not_waited_for(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"postgresql+psycopg://u@127.0.0.1:{deaf.getsockname()[1]}/d"
        found = findings(data, UWSD_DATABASE__URL=url)
    assert found["database"].found == "the database does not answer"


def test_each_mistake_of_the_configuration_is_a_finding(tmp_path: Path) -> None:
    config = tmp_path / "uwsd.toml"
    config.write_text("[serer]\nport = 1\n[backends.x]\ntype = 'lokal'\n")
    command = (sys.executable, "-m", "uwsd", "doctor", "--json", "--config", str(config))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = json.loads(done.stdout)
    assert (done.returncode, said["good"]) == (1, False)
    assert {f["what"] for f in said["findings"]} == {"configuration"}
    assert any("uwsd.toml:1: " in f["found"] for f in said["findings"]), said
