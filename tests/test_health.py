"""What makes a site unable to work is told in time, whatever it is."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from uwsd.database import Database
from uwsd.health import Condition, Health
from uwsd.heartbeat import Heartbeat, HeartbeatFile
from uwsd.migrations import migrate
from uwsd.room import Room

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_file(tmp_path / "jobs.db")
    migrate(database)
    yield database
    database.close()


def look(folder: Path, database: Database, *, beat: Heartbeat | None) -> Condition:
    file = HeartbeatFile(folder)
    if beat is not None:
        file.beat(beat)
    health = Health(
        database=database,
        workspaces=folder / "jobs",
        room=Room([folder], 0),
        heartbeat=file,
        tick=5,
        clock=lambda: NOW,
    )
    return health.look()


def alive(**backends: str | None) -> Heartbeat:
    since = NOW - timedelta(hours=1)
    return Heartbeat(since=since, at=NOW - timedelta(seconds=4), backends=backends)


def test_all_is_well(tmp_path: Path, sqlite: Database) -> None:
    condition = look(tmp_path, sqlite, beat=alive(local=None))
    assert condition == Condition(since=NOW - timedelta(hours=1))


def test_the_word_of_a_backend_is_passed_on_but_not_its_words(
    tmp_path: Path, sqlite: Database
) -> None:
    condition = look(tmp_path, sqlite, beat=alive(local=None, slurm="/etc/secret is missing"))
    assert condition.troubles == ()
    assert condition.backends == {"slurm"}


@pytest.mark.parametrize("age", [None, 31])
def test_a_supervisor_that_is_silent_is_missed(
    tmp_path: Path, sqlite: Database, age: int | None
) -> None:
    at = NOW - timedelta(seconds=age or 0)
    beat = None if age is None else Heartbeat(since=at, at=at)
    assert look(tmp_path, sqlite, beat=beat).troubles == ("no supervisor is at work",)


@pytest.mark.parametrize("torn", ['{"since": "2026', "[]", '{"since": 1, "at": 1}', '""'])
def test_a_torn_sign_of_life_is_none(tmp_path: Path, sqlite: Database, torn: str) -> None:
    (tmp_path / "supervisor.json").write_text(torn)
    assert look(tmp_path, sqlite, beat=None).troubles == ("no supervisor is at work",)


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    database = Database(f"postgresql+psycopg://u@/d?host={tmp_path}")
    (trouble,) = look(tmp_path, database, beat=alive()).troubles
    assert trouble == "the database cannot be used: OperationalError"


def test_a_database_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        database = Database(f"postgresql+psycopg://u@127.0.0.1:{port}/d")
        began = time.monotonic()
        (trouble,) = look(tmp_path, database, beat=alive()).troubles
        assert trouble == "the database does not answer"
        assert time.monotonic() - began < 10


def test_a_folder_that_cannot_be_written(tmp_path: Path, sqlite: Database) -> None:
    (tmp_path / "jobs").write_text("a file stands where the folder should be")
    (trouble,) = look(tmp_path, sqlite, beat=alive()).troubles
    assert trouble == "the jobs' folder cannot be used: FileExistsError"
