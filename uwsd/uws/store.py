"""The job store: every SQL statement on jobs, and compare-and-set.

A job changes in one locked transaction that reads it, lets a pure function decide, and
writes it back from the version it was read at; two of them never decide on the same job.
The ``execution`` table is what the supervisor has to do: it outlives a deleted job until
the engine has let go of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    CursorResult,
    Row,
    Select,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    type_coerce,
    union_all,
    update,
)

from uwsd.database import Database
from uwsd.uws.errors import NotFound
from uwsd.uws.feed import Feed
from uwsd.uws.job import ErrorSummary, ErrorType, Job, JobRef, Parameter, Result, Source
from uwsd.uws.phase import Phase
from uwsd.uws.tables import Instant
from uwsd.uws.tables import execution as execution_table
from uwsd.uws.tables import job as job_table

_PAGE = 500
_REF_COLUMNS = tuple(job_table.c[name] for name in ("id", "phase", "run_id", "owner", "created"))


class Want(StrEnum):
    """What shall become of a job on its engine."""

    RUN = auto()
    STOP = auto()
    FORGET = auto()  #: stop it, free everything, remove its files


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What the supervisor knows of a job that was committed for running, or left files."""

    job_id: str
    want: Want
    backend: str | None = None  #: set before the backend is first asked
    handle: str | None = None
    settled: bool = False  #: the engine has said its last word


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The little that a GET has to know before it may answer from a cache."""

    version: int
    owner: str | None
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What of a job list is wanted (2.2.2.1). They are combined by AND, then LAST cuts."""

    phases: tuple[Phase, ...] = ()
    after: datetime | None = None
    last: int | None = None


class JobStore:
    """The jobs of all services."""

    def __init__(self, database: Database, feed: Feed) -> None:
        self._database = database
        self.feed = feed

    def add(self, job: Job, *, want: Want | None = None) -> None:
        """Keep a new job, and what is wanted of it."""
        with self._database.write() as connection:
            connection.execute(insert(job_table).values(_columns(job)))
            if want is not None:
                connection.execute(insert(execution_table).values(_wanted(job.id, want)))
        if want is not None:
            self.feed.publish()

    def stamp(self, service: str, job_id: str) -> Stamp:
        """Return the version, owner and phase of a job."""
        columns = job_table.c.version, job_table.c.owner, job_table.c.phase
        with self._database.read() as connection:
            row = connection.execute(select(*columns).where(_is(service, job_id))).one_or_none()
        if row is None:
            raise _no_job(job_id)
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

        What ``edit`` raises undoes everything. An unchanged job is not written.
        """
        condition = job_table.c.id == job_id if service is None else _is(service, job_id)
        with self._database.write() as connection:
            was = self._locked(connection, condition, job_id)
            now = edit(was)
            if now != was:
                now = replace(now, version=was.version + 1)
                self._write(connection, now, was.version)
            if want is not None:
                _set_want(connection, job_id, want)
        if now != was or want is not None:
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
        query = select(execution_table).where(execution_table.c.settled.is_(False))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [_execution(row) for row in rows]

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
            return _found(connection.execute(select(job_table).where(condition)), job_id)

    def _locked(self, connection: Connection, condition: ColumnElement[bool], job_id: str) -> Job:
        return _found(
            connection.execute(select(job_table).where(condition).with_for_update()), job_id
        )

    def _write(self, connection: Connection, job: Job, was: int) -> None:
        row = job_table.c.id == job.id, job_table.c.version == was
        done = connection.execute(update(job_table).where(*row).values(_columns(job)))
        assert done.rowcount == 1, "the row is locked"
        self.feed.note(connection, job.id)

    def _pages(
        self,
        scope: Sequence[ColumnElement[bool]],
        phases: Sequence[Phase],
        last: int | None,
    ) -> Iterator[JobRef]:
        beyond: tuple[ColumnElement[bool], ...] = ()
        while last is None or last > 0:
            size = _PAGE if last is None else min(_PAGE, last)
            with self._database.read() as connection:
                rows = connection.execute(_page((*scope, *beyond), phases, size)).all()
            yield from map(_ref, rows)
            if len(rows) < size:
                return
            last = None if last is None else last - size
            beyond = (_before(rows[-1]),)


def _is(service: str, job_id: str) -> ColumnElement[bool]:
    return and_(job_table.c.id == job_id, job_table.c.service == service)


def _deadline() -> ColumnElement[datetime]:
    milliseconds = type_coerce(job_table.c.started, BigInteger) + job_table.c.duration * 1000
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


def _page(
    conditions: Sequence[ColumnElement[bool]], phases: Sequence[Phase], size: int
) -> Select[Any]:
    """One limited branch a phase: with ``phase IN`` SQLite would walk the whole history."""
    if not phases:
        return _newest(select(*_REF_COLUMNS).where(*conditions), size)
    branches = [
        select(
            _newest(
                select(*_REF_COLUMNS).where(*conditions, job_table.c.phase == phase), size
            ).subquery()
        )
        for phase in phases
    ]
    merged = union_all(*branches).subquery()
    newest = select(merged).order_by(merged.c.created.desc(), merged.c.id.desc())
    return newest.limit(size)


def _newest(query: Select[Any], size: int) -> Select[Any]:
    return query.order_by(job_table.c.created.desc(), job_table.c.id.desc()).limit(size)


def _before(row: Row[Any]) -> ColumnElement[bool]:
    here = tuple_(literal(row.created, Instant), literal(row.id))
    return tuple_(job_table.c.created, job_table.c.id) < here


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


def _columns(job: Job) -> dict[str, Any]:
    columns = {name: getattr(job, name) for name in _PLAIN}
    return columns | {
        "error": None if job.error is None else asdict(job.error),
        "results": [asdict(result) for result in job.results],
        "parameters": [asdict(parameter) for parameter in job.parameters],
    }


_PLAIN = tuple(c.name for c in job_table.c if c.name not in {"error", "results", "parameters"})


def _found(rows: CursorResult[Any], job_id: str) -> Job:
    row = rows.one_or_none()
    if row is None:
        raise _no_job(job_id)
    return _job(row)


def _no_job(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id}; it may have been deleted or have expired")


def _job(row: Row[Any]) -> Job:
    columns = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    error = columns.pop("error")
    return Job(
        **columns
        | {
            "phase": Phase(columns["phase"]),
            "results": tuple(Result(**result) for result in columns["results"]),
            "parameters": tuple(_parameter(**stored) for stored in columns["parameters"]),
            "error": None if error is None else _error(**error),
        }
    )


def _parameter(*, source: str, **rest: Any) -> Parameter:
    return Parameter(source=Source(source), **rest)


def _error(*, message: str, type: str) -> ErrorSummary:  # noqa: A002 - the schema's name
    return ErrorSummary(message=message, type=ErrorType(type))


def _ref(row: Row[Any]) -> JobRef:
    job_id, phase, run_id, owner, created = tuple(row)
    return JobRef(id=job_id, phase=Phase(phase), run_id=run_id, owner=owner, created=created)


def _execution(row: Row[Any]) -> Execution:
    job_id, want, backend, handle, settled = tuple(row)
    return Execution(
        job_id=job_id, want=Want(want), backend=backend, handle=handle, settled=settled
    )
