"""A real store, on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from uwsd.database import Database
from uwsd.uws.feed import Feed, SqliteFeed
from uwsd.uws.feed_postgresql import PostgresqlFeed
from uwsd.uws.store import JobStore


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
