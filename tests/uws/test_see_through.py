"""A synchronous job is waited for through every phase until it is over."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.serving import wait_until
from uwsd.capabilities.command import Command
from uwsd.capabilities.settings import ServiceSettings
from uwsd.uws.access import AnonymousRights, Caller
from uwsd.uws.errors import Unavailable
from uwsd.uws.feed import Feed
from uwsd.uws.form import Form
from uwsd.uws.job import Job, Result
from uwsd.uws.phase import Event, Phase
from uwsd.uws.service import JobService
from uwsd.uws.store import JobStore
from uwsd.uws.waiting import Waiting
from uwsd.uws.workspace import Workspaces

SERVICE = Command("s", ServiceSettings(command=("true",)), Path())
AT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def waiting(feed: Feed) -> Iterator[Waiting]:
    waiting = Waiting(feed.listen())
    yield waiting
    if not waiting.is_closed:
        waiting.close()


@pytest.fixture
def jobs(store: JobStore, waiting: Waiting, tmp_path: Path) -> JobService:
    return JobService(
        joblist=SERVICE,
        caller=Caller(),
        rights=AnonymousRights(may_create=True),
        store=store,
        workspaces=Workspaces(tmp_path),
        waiting=waiting,
        max_wait=1,
    )


def stays() -> bool:
    return False


def test_a_job_that_is_held_or_suspended_is_waited_for(jobs: JobService, store: JobStore) -> None:
    job = jobs.create(Form(), start=True)
    with ThreadPoolExecutor() as pool:
        end = pool.submit(jobs.see_through, job.id, stays)
        for event in (Event.HOLD, Event.START, Event.SUSPEND, Event.LOSE, Event.START):
            store.change(None, job.id, on(event))
            time.sleep(0.01)
            assert not end.done()
        store.change(None, job.id, on(Event.COMPLETE))
        assert end.result(10).phase is Phase.COMPLETED


def on(event: Event) -> Callable[[Job], Job]:
    return lambda job: job.on(event, at=AT)


def test_a_job_that_is_over_is_not_waited_for(jobs: JobService) -> None:
    job = jobs.create(Form(), start=True)
    jobs.abort(job.id)
    assert jobs.see_through(job.id, stays).phase is Phase.ABORTED


def test_nobody_waits_on_once_waiting_is_closed(jobs: JobService, waiting: Waiting) -> None:
    job = jobs.create(Form(), start=True)
    waits = threading.Event()

    def look() -> bool:
        waits.set()
        return False

    with ThreadPoolExecutor() as pool:
        end = pool.submit(jobs.see_through, job.id, look)
        wait_until(waits.is_set)
        waiting.close()
        with pytest.raises(Unavailable):
            end.result(10)
    with pytest.raises(Unavailable):
        jobs.see_through(job.id, stays)
    assert jobs.get(job.id).phase is Phase.QUEUED


@pytest.mark.parametrize(
    ("made", "main"),
    [
        (("stdout", "b", "result"), "result"),
        (("stdout", "stderr", "b", "c"), "b"),
        (("stderr", "stdout"), "stdout"),
        (("stderr",), None),
        ((), None),
    ],
)
def test_the_main_result(made: tuple[str, ...], main: str | None) -> None:
    results = tuple(Result(id=name, path=name, media_type="text/plain") for name in made)
    job = Job(id="j", service="s", created=AT, results=results)
    assert SERVICE.main_result(job) == (None if main is None else job.result(main))
