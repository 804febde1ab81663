"""The job store: every SQL statement on jobs, and compare-and-set.

A job changes in one locked transaction that reads it, lets a pure function decide, and
writes it back from the version it was read at; two of them never decide on the same job.
The ``execution`` table is what the supervisor has to do: it outlives a deleted job until
the engine has let go of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    cast,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from uwsd.database import Database
from uwsd.uws.feed import Feed
from uwsd.uws.job import Job, JobRef
from uwsd.uws.listing import PAGE, Filters, before, page
from uwsd.uws.phase import Phase
from uwsd.uws.rows import (
    Execution,
    Want,
    columns_of,
    execution_of,
    found,
    no_job,
    ref_of,
)
from uwsd.uws.tables import Instant
from uwsd.uws.tables import execution as execution_table
from uwsd.uws.tables import job as job_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The little that a GET has to know before it may answer from a cache."""

    version: int
    owner: str | None
    phase: Phase


class JobStore:
    """The jobs of all services."""

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database = database
        self.feed = feed

    def add(self, job: Job, *, want: Want | None = None) -> None:
        """Keep a new job, and what is wanted of it."""
        with self._database.write() as connection:
            connection.execute(insert(job_table).values(columns_of(job)))
            if want is not None:
                connection.execute(insert(execution_table).values(_wanted(job.id, want)))
                self.feed.note(connection, job.id)
        if want is not None:
            self.feed.publish()

    def stamp(self, service: str, job_id: str) -> Stamp:
        """Return the version, owner and phase of a job."""
        columns = job_table.c.version, job_table.c.owner, job_table.c.phase
        with self._database.read() as connection:
            row = connection.execute(select(*columns).where(_is(service, job_id))).one_or_none()
        if row is None:
            raise no_job(job_id)
        version, owner, phase = row
        return Stamp(version=version, owner=owner, phase=Phase(phase))

    def get(self, service: str, job_id: str) -> Job:
        """Return a job of one service."""
        return self._one(_is(service, job_id), job_id)

    def load(self, job_id: str) -> Job:
        """Return a job of any service."""
        return self._one(job_table.c.id == job_id, job_id)

    def find(
        self, service: str, filters: Filters, *, owner: str | None = None, everyone: bool = False
    ) -> Iterator[JobRef]:
        """Return the jobs of ``owner``, or of everyone, newest first (2.2.2.1).

        They are read in pages, and no connection is held while a page is being sent.
        """
        scope = [job_table.c.service == service]
        if not everyone:
            scope.append(job_table.c.owner == owner)  # None: IS NULL
        if filters.after is not None:
            scope.append(job_table.c.created > filters.after)
        # ARCHIVED jobs are listed only when asked for by name.
        if not filters.phases:
            scope.append(job_table.c.phase != Phase.ARCHIVED)
        yield from self._pages(scope, filters.phases, filters.last)

    def change(
        self,
        service: str | None,
        job_id: str,
        edit: Callable[[Job], Job],
        *,
        want: Want | None = None,
    ) -> Job:
        """Replace a job by ``edit`` of it, in one transaction; return it as it is now.

        What ``edit`` raises undoes everything. An unchanged job is not written, and nobody is
        woken by what jobInfo alone tells: a WAIT is for a change of phase (2.2.1.2).
        """
        condition = job_table.c.id == job_id if service is None else _is(service, job_id)
        with self._database.write() as connection:
            was = self._locked(connection, condition, job_id)
            now = edit(was)
            if now != was:
                now = replace(now, version=was.version + 1)
                self._write(connection, now, was.version)
            if now.differs_from(was):
                self.feed.note(connection, job_id)
            if want is not None:
                _set_want(connection, job_id, want)
        if now.differs_from(was) or want is not None:
            self.feed.publish()
        return now

    def forget(self, service: str | None, job_id: str, allow: Callable[[Job], None]) -> None:
        """Delete a job, once ``allow`` has not objected; the engine is told afterwards."""
        condition = job_table.c.id == job_id if service is None else _is(service, job_id)
        with self._database.write() as connection:
            allow(self._locked(connection, condition, job_id))
            connection.execute(delete(job_table).where(job_table.c.id == job_id))
            _set_want(connection, job_id, Want.FORGET)
            self.feed.note(connection, job_id)
        self.feed.publish()

    def unsettled(self) -> list[Execution]:
        """Return all that is still to be done on engines, oldest job first."""
        query = (
            select(execution_table)
            .outerjoin(job_table, job_table.c.id == execution_table.c.job_id)
            .where(execution_table.c.settled.is_(False))
            .order_by(job_table.c.created, job_table.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [execution_of(row) for row in rows]

    def note(self, job_id: str, **columns: str) -> None:
        """Write down the backend or the handle of an execution."""
        statement = update(execution_table).where(execution_table.c.job_id == job_id)
        with self._database.write() as connection:
            connection.execute(statement.values(columns))

    def settle(self, job_id: str) -> None:
        """Write down that the engine has said its last word, unless all is to be forgotten."""
        row = execution_table.c.job_id == job_id, execution_table.c.want != Want.FORGET
        with self._database.write() as connection:
            connection.execute(update(execution_table).where(*row).values(settled=True))

    def drop(self, job_id: str) -> None:
        """Remove an execution: nothing of it is left anywhere."""
        with self._database.write() as connection:
            connection.execute(delete(execution_table).where(execution_table.c.job_id == job_id))

    def expired(self, at: datetime) -> list[str]:
        """Return the ids of the jobs whose destruction time has come (2.1.5)."""
        due = job_table.c.destruction <= at, job_table.c.phase != Phase.ARCHIVED
        with self._database.read() as connection:
            return list(connection.scalars(select(job_table.c.id).where(*due)))

    def overdue(self, at: datetime) -> list[str]:
        """Return the ids of the jobs that have run for longer than they may (2.1.4)."""
        with self._database.read() as connection:
            rows = connection.scalars(_running(job_table.c.id).where(_deadline() <= at))
            return list(rows)

    def next_deadline(self) -> datetime | None:
        """Return when the next job will be overdue or expired, or None."""
        destruction = (
            select(job_table.c.destruction)
            .where(job_table.c.destruction.is_not(None), job_table.c.phase != Phase.ARCHIVED)
            .order_by(job_table.c.destruction)
            .limit(1)
        )
        with self._database.read() as connection:
            known = (
                connection.scalar(destruction),
                connection.scalar(_running(func.min(_deadline()))),
            )
        return min((at for at in known if at is not None), default=None)

    def knows(self, job_id: str) -> bool:
        """Whether there is a job, or an execution, of that id: whether its files are needed."""
        with self._database.read() as connection:
            return any(
                connection.scalar(select(column).where(column == job_id)) is not None
                for column in (job_table.c.id, execution_table.c.job_id)
            )

    def _one(self, condition: ColumnElement[bool], job_id: str) -> Job:
        with self._database.read() as connection:
            return found(connection.execute(select(job_table).where(condition)), job_id)

    def _locked(self, connection: Connection, condition: ColumnElement[bool], job_id: str) -> Job:
        return found(
            connection.execute(select(job_table).where(condition).with_for_update()), job_id
        )

    def _write(self, connection: Connection, job: Job, was: int) -> None:
        row = job_table.c.id == job.id, job_table.c.version == was
        done = connection.execute(update(job_table).where(*row).values(columns_of(job)))
        assert done.rowcount == 1, "the row is locked"

    def _pages(
        self,
        scope: Sequence[ColumnElement[bool]],
        phases: Sequence[Phase],
        last: int | None,
    ) -> Iterator[JobRef]:
        beyond: tuple[ColumnElement[bool], ...] = ()
        while last is None or last > 0:
            size = PAGE if last is None else min(PAGE, last)
            with self._database.read() as connection:
                rows = connection.execute(page((*scope, *beyond), phases, size)).all()
            yield from map(ref_of, rows)
            if len(rows) < size:
                return
            last = None if last is None else last - size
            beyond = (before(rows[-1]),)


def _is(service: str, job_id: str) -> ColumnElement[bool]:
    return and_(job_table.c.id == job_id, job_table.c.service == service)


def _deadline() -> ColumnElement[datetime]:
    limit = cast(job_table.c.duration, BigInteger) * 1000
    milliseconds = type_coerce(job_table.c.started, BigInteger) + limit
    return type_coerce(milliseconds, Instant)


def _running(column: ColumnElement[Any]) -> Select[Any]:
    """Select of the jobs that have a deadline: what they are at is not yet over."""
    return (
        select(column)
        .join(execution_table, execution_table.c.job_id == job_table.c.id)
        .where(
            execution_table.c.settled.is_(False),
            execution_table.c.want == Want.RUN,
            job_table.c.duration > 0,
            job_table.c.started.is_not(None),
            job_table.c.ended.is_(None),
        )
    )


def _set_want(connection: Connection, job_id: str, want: Want) -> None:
    row = execution_table.c.job_id == job_id
    if want is Want.STOP:  # what was never handed over, or is over, needs no stopping
        connection.execute(update(execution_table).where(row).values(want=want))
        return
    values = {"want": want, "settled": False}
    if connection.execute(update(execution_table).where(row).values(values)).rowcount == 0:
        connection.execute(insert(execution_table).values(_wanted(job_id, want)))


def _wanted(job_id: str, want: Want) -> dict[str, Any]:
    return {"job_id": job_id, "want": want, "settled": False}
