"""A real store on a real database file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from uwsd.database import Database
from uwsd.migrations import migrate
from uwsd.uws.feed import SqliteFeed
from uwsd.uws.store import JobStore


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_file(tmp_path / "jobs.db")
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def feed(database: Database, tmp_path: Path) -> Iterator[SqliteFeed]:
    feed = SqliteFeed(database, tmp_path / "run")
    yield feed
    feed.close()


@pytest.fixture
def store(database: Database, feed: SqliteFeed) -> JobStore:
    return JobStore(database, feed)
