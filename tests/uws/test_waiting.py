"""Waits are woken by changes: of this process, of another one, and when a nudge is lost."""

import os
import resource
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event

from tests.serving import wait_until
from uwsd.database import Database
from uwsd.uws.feed import Feed, SqliteFeed
from uwsd.uws.job import Job
from uwsd.uws.store import JobStore
from uwsd.uws.waiting import Waiting

JOB = Job(
    id="7b6f4a52-3c1e-4a52-9c1e-0123456789ab",
    service="demo",
    created=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.fixture
def waiting(feed: Feed) -> Iterator[Waiting]:
    waiting = Waiting(feed.listen())
    yield waiting
    waiting.close()


def touch(store: JobStore) -> None:
    store.change(None, JOB.id, lambda job: replace(job, duration=job.duration + 1))


def test_a_change_wakes_those_who_wait_for_that_job(store: JobStore, waiting: Waiting) -> None:
    store.add(JOB)
    with waiting.subscribe(JOB.id) as mine, waiting.subscribe("another") as other:
        touch(store)
        assert mine.wait(10)
        assert not other.wait(0.05)


def test_a_deletion_wakes_too(store: JobStore, waiting: Waiting) -> None:
    store.add(JOB)
    with waiting.subscribe(JOB.id) as change:
        store.forget(None, JOB.id, lambda _: None)
        assert change.wait(10)


def test_nobody_wakes_early(waiting: Waiting) -> None:
    with waiting.subscribe(JOB.id) as change:
        began = time.monotonic()
        assert not change.wait(0.2)
        assert time.monotonic() - began >= 0.2


def test_a_change_by_another_process_wakes(
    store: JobStore, database: Database, waiting: Waiting, tmp_path: Path
) -> None:
    store.add(JOB)
    code = f"""
        from pathlib import Path
        from dataclasses import replace
        from uwsd.database import Database
        from uwsd.uws.feed import SqliteFeed
        from uwsd.uws.feed_postgresql import PostgresqlFeed
        from uwsd.uws.store import JobStore
        database = Database({database.url.render_as_string(hide_password=False)!r})
        run = Path({str(tmp_path / "run")!r})
        feed = SqliteFeed(database, run) if database.embedded else PostgresqlFeed(database)
        store = JobStore(database, feed)
        store.change(None, {JOB.id!r}, lambda job: replace(job, duration=9))
    """
    with waiting.subscribe(JOB.id) as change:
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
        assert change.wait(10)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_lost_nudge_is_made_up_for(
    store: JobStore, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(JOB)
    monkeypatch.setattr(SqliteFeed, "publish", lambda _: None)
    with waiting.subscribe(JOB.id) as change:
        touch(store)
        assert change.wait(10)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sockets_of_the_dead_are_removed(feed: SqliteFeed, store: JobStore, tmp_path: Path) -> None:
    listener = feed.listen()
    dead = tmp_path / "run" / "dead"
    next((tmp_path / "run").iterdir()).rename(dead)
    listener.close()
    assert dead.exists()
    store.add(JOB)
    touch(store)
    assert not dead.exists()


def test_closing_wakes_everybody(feed: Feed) -> None:
    waiting = Waiting(feed.listen())
    with waiting.subscribe(JOB.id) as change:
        waker = threading.Thread(target=waiting.close)
        waker.start()
        assert change.wait(10)
        waker.join()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_old_changes_are_pruned(
    feed: SqliteFeed, store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uwsd.uws.feed._KEEP", 5)
    monkeypatch.setattr("uwsd.uws.feed._PRUNE_EVERY", 3)
    listener = feed.listen()
    store.add(JOB)
    for _ in range(30):
        touch(store)
    assert 5 <= len(listener.changed()) < 10
    listener.close()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_broken_connection_wakes_everybody_and_is_made_again(
    store: JobStore, database: Database, waiting: Waiting
) -> None:
    store.add(JOB)
    with waiting.subscribe(JOB.id) as change:
        with database.write() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
            )
        assert change.wait(10)
    with waiting.subscribe(JOB.id) as change:
        touch(store)
        assert change.wait(10)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_that_was_away_for_a_while_is_heard_again(
    store: JobStore, database: Database, waiting: Waiting, postgresql_server: str
) -> None:
    store.add(JOB)
    name = database.url.database
    conninfo = postgresql_server.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(conninfo, autocommit=True) as other:
        other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        with waiting.subscribe(JOB.id) as change:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            assert change.wait(10), "its waiters are woken when it goes"
        with waiting.subscribe(JOB.id) as change:
            assert change.wait(10), "and while it is away"
        other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    wait_until(lambda: _is_quiet(waiting))
    with waiting.subscribe(JOB.id) as change:
        touch(store)
        assert change.wait(10)


def test_who_waits_costs_no_query_and_no_thread(database: Database, waiting: Waiting) -> None:
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *seen: said.append(seen[2]))
    threads = threading.active_count()
    with ExitStack() as stack:
        changes = [stack.enter_context(waiting.subscribe(str(n))) for n in range(5000)]
        changes[0].wait(1.2)
        assert threading.active_count() == threads
    # The watcher looks now and then, for all of them.
    assert {text for text in said if text != "PRAGMA data_version"} == set()
    assert len(said) < 100


def test_a_listener_with_a_high_descriptor_is_heard(
    feed: Feed, store: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    store.add(JOB)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1024):  # as many clients
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        waiting = Waiting(feed.listen())
        stack.callback(waiting.close)
        with waiting.subscribe(JOB.id) as mine, waiting.subscribe("another") as other:
            touch(store)
            assert mine.wait(10)
            assert not other.wait(0.05)
    assert caplog.records == []


def test_who_finds_no_room_is_answered_soon(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uwsd.uws.waiting._NO_ROOM", 0.01)
    waiting = Waiting(feed.listen(), room=1)
    with waiting.subscribe(JOB.id), waiting.subscribe(JOB.id) as second:
        waiting.hold(second, 1000)
    waiting.close()


def test_a_crowd_does_not_go_all_at_once(feed: Feed) -> None:
    waiting = Waiting(feed.listen(), room=100)
    with ExitStack() as stack:
        changes = [stack.enter_context(waiting.subscribe(JOB.id)) for _ in range(10)]
        assert waiting._patience(100) == 100
        changes.append(stack.enter_context(waiting.subscribe(JOB.id)))
        times = [waiting._patience(100) for _ in changes]
        assert all(75 <= time <= 100 for time in times)
        assert max(times) - min(times) > 5
        # Nor do those whom one change wakes, yet all of them do.
        waiting.wake_all()
        assert all(change.wait(10) for change in changes)
    waiting.close()


def _is_quiet(waiting: Waiting) -> bool:
    """Whether nobody is woken without a change any more."""
    with waiting.subscribe(JOB.id) as change:
        return not change.wait(1.2)
