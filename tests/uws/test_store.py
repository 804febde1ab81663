"""The job store on a real database: what is kept, who wins, which lists come out."""

import random
import sqlite3
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import inspect

from uwsd.database import Database, DatabaseBusy
from uwsd.uws.errors import NotFound, WrongPhase
from uwsd.uws.job import ErrorSummary, ErrorType, Job, Parameter, Result, Source
from uwsd.uws.listing import Filters
from uwsd.uws.phase import Event, Phase
from uwsd.uws.rows import Want
from uwsd.uws.store import JobStore
from uwsd.uws.tables import metadata

AT = datetime(2026, 11, 24, 3, 58, tzinfo=UTC)


def a_job(number: int = 0, **fields: object) -> Job:
    created = AT + timedelta(seconds=number)
    return Job(id=str(uuid.uuid4()), service="demo", created=created, **fields)  # type: ignore[arg-type]


def test_a_job_comes_back_as_it_was_kept(store: JobStore) -> None:
    job = a_job(
        owner="ada",
        run_id="a \r\n b",
        phase=Phase.ERROR,
        started=AT,
        ended=AT,
        quote=AT,
        duration=7,
        destruction=AT,
        parameters=(
            Parameter(name="A", value="\x00\x1f é"),
            Parameter(name="F", value="f", source=Source.STORED, path="inputs/F-1", size=2**40),
        ),
        results=(Result(id="result", path="outputs/x", media_type="text/plain"),),
        error=ErrorSummary(message="no", type=ErrorType.TRANSIENT),
        info={"message": "queued"},
    )
    store.add(job)
    assert store.get("demo", job.id) == job
    assert store.load(job.id) == job


def test_a_job_of_another_service_is_not_there(store: JobStore) -> None:
    job = a_job()
    store.add(job)
    with pytest.raises(NotFound):
        store.get("other", job.id)


def test_every_change_raises_the_version_and_no_change_does_not(store: JobStore) -> None:
    job = a_job()
    store.add(job)
    assert store.change("demo", job.id, lambda j: replace(j, duration=5)).version == 1
    assert store.change("demo", job.id, lambda j: j).version == 1
    assert store.stamp("demo", job.id).version == 1


def test_a_refused_change_leaves_no_trace(store: JobStore) -> None:
    job = a_job(phase=Phase.COMPLETED)
    store.add(job)
    with pytest.raises(WrongPhase):
        store.change("demo", job.id, lambda j: j.on(Event.RUN, at=AT), want=Want.RUN)
    assert store.get("demo", job.id) == job
    assert store.unsettled() == []


def test_of_two_hundred_runs_at_once_one_wins(store: JobStore) -> None:
    job = a_job()
    store.add(job)
    barrier = threading.Barrier(20)

    def run(number: int) -> bool:
        if number < 20:
            barrier.wait()
        try:
            store.change("demo", job.id, lambda j: j.on(Event.RUN, at=AT), want=Want.RUN)
        except WrongPhase:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(run, range(200))) == 1
    assert [e.job_id for e in store.unsettled()] == [job.id]


def test_no_update_of_two_threads_is_lost(store: JobStore) -> None:
    job = a_job()
    store.add(job)

    def add_one(_: int) -> None:
        store.change("demo", job.id, lambda j: replace(j, duration=j.duration + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(100)))
    assert store.get("demo", job.id).duration == 100


def test_a_forgotten_job_leaves_only_what_is_to_be_done(store: JobStore) -> None:
    job = a_job()
    store.add(job, want=Want.RUN)
    store.forget("demo", job.id, lambda _: None)
    with pytest.raises(NotFound):
        store.get("demo", job.id)
    assert [(e.job_id, e.want) for e in store.unsettled()] == [(job.id, Want.FORGET)]
    store.settle(job.id)
    assert store.unsettled(), "what is to be forgotten is never settled by a late report"
    store.drop(job.id)
    assert store.unsettled() == []
    assert not store.knows(job.id)


def test_who_came_first_is_seen_to_first(store: JobStore) -> None:
    jobs = [a_job(number) for number in (3, 1, 2)]
    for job in jobs:
        store.add(job, want=Want.RUN)
    assert [e.job_id for e in store.unsettled()] == [jobs[n].id for n in (1, 2, 0)]


def test_an_abort_of_a_job_that_never_ran_asks_nothing_of_an_engine(store: JobStore) -> None:
    job = a_job()
    store.add(job)
    store.change("demo", job.id, lambda j: j.on(Event.ABORT, at=AT), want=Want.STOP)
    assert store.unsettled() == []


def test_lists_agree_with_a_plain_filter_over_all_jobs(store: JobStore) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    jobs = [
        a_job(dice.randrange(60), owner=dice.choice([None, "ada"]), phase=dice.choice(list(Phase)))
        for _ in range(700)
    ]
    for job in jobs:
        store.add(job)
    for _ in range(60):
        owner = dice.choice([None, "ada"])
        filters = Filters(
            phases=tuple(dice.sample(list(Phase), dice.choice([0, 0, 1, 2, 5]))),
            after=dice.choice([None, AT + timedelta(seconds=dice.randrange(-1, 61))]),
            last=dice.choice([None, 1, 7, 499, 500, 501, 10_000]),
        )
        found = [ref.id for ref in store.find("demo", filters, owner=owner)]
        assert found == _expected([j for j in jobs if j.owner == owner], filters)
    everyone = [ref.id for ref in store.find("demo", Filters(), everyone=True)]
    assert everyone == _expected(jobs, Filters())


def _expected(jobs: list[Job], filters: Filters) -> list[str]:
    wanted = [
        job
        for job in jobs
        if (job.phase in filters.phases if filters.phases else job.phase is not Phase.ARCHIVED)
        and (filters.after is None or job.created > filters.after)
    ]
    wanted.sort(key=lambda job: (job.created, job.id), reverse=True)
    return [job.id for job in wanted[: filters.last]]


def test_what_is_due_is_found(store: JobStore) -> None:
    running = a_job(phase=Phase.EXECUTING, started=AT, duration=10)
    unlimited = a_job(phase=Phase.EXECUTING, started=AT)
    over = a_job(phase=Phase.COMPLETED, started=AT, ended=AT, duration=10)
    dying = a_job(destruction=AT + timedelta(seconds=5))
    archived = a_job(phase=Phase.ARCHIVED, destruction=AT)
    for job in (running, unlimited, over):
        store.add(job, want=Want.RUN)
    for job in (dying, archived):
        store.add(job)
    assert store.next_deadline() == AT + timedelta(seconds=5)
    assert store.expired(AT + timedelta(seconds=5)) == [dying.id]
    assert store.overdue(AT + timedelta(seconds=9.999)) == []
    assert store.overdue(AT + timedelta(seconds=10)) == [running.id]
    store.forget(None, dying.id, lambda _: None)
    assert store.next_deadline() == AT + timedelta(seconds=10)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_foreign_lock_is_waited_for(store: JobStore, database: Database) -> None:
    job = a_job()
    store.add(job)
    other = sqlite3.connect(
        str(database.url.database), isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    assert store.change("demo", job.id, lambda j: replace(j, duration=1)).duration == 1
    release.join()
    other.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_lock_that_does_not_go_away_is_a_clear_refusal(
    store: JobStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uwsd.embedded._PATIENCE", 0.2)
    other = sqlite3.connect(str(database.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy):
        store.add(a_job())
    other.execute("ROLLBACK")
    store.add(a_job())
    other.close()


def test_the_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    found = inspect(database.engine)
    for table in metadata.sorted_tables:
        columns = {c["name"]: c["nullable"] for c in found.get_columns(table.name)}
        assert columns == {c.name: c.nullable for c in table.columns}
        indexes = {i["name"]: i["column_names"] for i in found.get_indexes(table.name)}
        assert indexes == {i.name: [c.name for c in i.columns] for i in table.indexes}
