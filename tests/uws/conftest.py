"""A real store, on each kind of database."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines.postgresql import fresh_database
from uwsd.database import Database
from uwsd.migrations import migrate
from uwsd.uws.feed import Feed, SqliteFeed
from uwsd.uws.feed_postgresql import PostgresqlFeed
from uwsd.uws.store import JobStore


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            database = Database.in_file(tmp_path / "jobs.db")
        else:
            server = request.getfixturevalue("postgresql_server")
            database = Database(stack.enter_context(fresh_database(server)))
        stack.callback(database.close)
        migrate(database)
        yield database


@pytest.fixture
def feed(database: Database, tmp_path: Path) -> Iterator[Feed]:
    if not database.embedded:
        yield PostgresqlFeed(database)
        return
    feed = SqliteFeed(database, tmp_path / "run")
    yield feed
    feed.close()


@pytest.fixture
def store(database: Database, feed: Feed) -> JobStore:
    return JobStore(database, feed)
