"""The job store: every SQL statement on jobs, and compare-and-set.

A job changes in one locked transaction that reads it, lets a pure function decide, and
writes it back from the version it was read at; two of them never decide on the same job.
The ``execution`` table is what the supervisor has to do: it outlives a deleted job until
the engine has let go of it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from uwsd.database import Database
from uwsd.uws import statements
from uwsd.uws.feed import Feed
from uwsd.uws.job import Job, JobRef
from uwsd.uws.listing import PAGE, Filters, Whose, page
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

_BREATH = 0.001
"""Seconds between two pages of a list: others get their turn, also to read from their sockets."""


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
            connection.execute(statements.ADD_JOB, columns_of(job))
            if want is not None:
                connection.execute(statements.ADD_EXECUTION, _wanted(job.id, want))
                self.feed.note(connection, job.id)
        if want is not None:
            self.feed.publish()

    def stamp(self, service: str, job_id: str) -> Stamp:
        """Return the version, owner and phase of a job."""
        which = {"job_id": job_id, "service": service}
        row = self._database.glance(statements.STAMP, which)
        if row is None:
            raise no_job(job_id)
        version, owner, phase = row
        return Stamp(version=version, owner=owner, phase=Phase(phase))

    def get(self, service: str, job_id: str) -> Job:
        """Return a job of one service."""
        with self._database.read() as connection:
            which = {"job_id": job_id, "service": service}
            return found(connection.execute(statements.JOB_OF_SERVICE, which), job_id)

    def load(self, job_id: str) -> Job:
        """Return a job of any service."""
        with self._database.read() as connection:
            return found(connection.execute(statements.JOB, {"job_id": job_id}), job_id)

    def find(
        self, service: str, filters: Filters, *, owner: str | None = None, everyone: bool = False
    ) -> Iterator[JobRef]:
        """Return the jobs of ``owner``, or of everyone, newest first (2.2.2.1).

        They are read in pages, and no connection is held while a page is being sent.
        """
        whose = Whose(service=service, owner=owner, everyone=everyone)
        rest, beyond = filters.last, None
        while rest is None or rest > 0:
            if beyond is not None:
                time.sleep(_BREATH)
            size = PAGE if rest is None else min(PAGE, rest)
            with self._database.read() as connection:
                rows = connection.execute(*page(whose, filters, size, beyond)).all()
            for row in rows:
                yield (beyond := ref_of(row))
            if len(rows) < size:
                return
            rest = None if rest is None else rest - size

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
        with self._database.write() as connection:
            was = _locked(connection, service, job_id)
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
        with self._database.write() as connection:
            allow(_locked(connection, service, job_id))
            connection.execute(statements.DELETE_JOB, {"job_id": job_id})
            _set_want(connection, job_id, Want.FORGET)
            self.feed.note(connection, job_id)
        self.feed.publish()

    def unsettled(self) -> list[Execution]:
        """Return all that is still to be done on engines, oldest job first."""
        with self._database.read() as connection:
            rows = connection.execute(statements.UNSETTLED).all()
        return [execution_of(row) for row in rows]

    def note(self, job_id: str, **columns: str) -> None:
        """Write down the backend or the handle of an execution."""
        with self._database.write() as connection:
            connection.execute(statements.WRITE_EXECUTION, {"of_job": job_id, **columns})

    def settle(self, job_id: str) -> None:
        """Write down that the engine has said its last word, unless all is to be forgotten."""
        with self._database.write() as connection:
            connection.execute(statements.SETTLE, {"of_job": job_id})

    def drop(self, job_id: str) -> None:
        """Remove an execution: nothing of it is left anywhere."""
        with self._database.write() as connection:
            connection.execute(statements.DROP_EXECUTION, {"of_job": job_id})

    def expired(self, at: datetime) -> list[str]:
        """Return the ids of the jobs whose destruction time has come (2.1.5)."""
        with self._database.read() as connection:
            return list(connection.scalars(statements.EXPIRED, {"at": at}))

    def overdue(self, at: datetime) -> list[str]:
        """Return the ids of the jobs that have run for longer than they may (2.1.4)."""
        with self._database.read() as connection:
            return list(connection.scalars(statements.OVERDUE, {"at": at}))

    def next_deadline(self) -> datetime | None:
        """Return when the next job will be overdue or expired, or None."""
        with self._database.read() as connection:
            known = (
                connection.scalar(statements.NEXT_DESTRUCTION),
                connection.scalar(statements.NEXT_OVERDUE),
            )
        return min((at for at in known if at is not None), default=None)

    def knows(self, job_id: str) -> bool:
        """Whether there is a job, or an execution, of that id: whether its files are needed."""
        return knows(self._database, job_id)

    def _write(self, connection: Connection, job: Job, was: int) -> None:
        values = columns_of(job) | {"job_id": job.id, "was": was}
        assert connection.execute(statements.WRITE_JOB, values).rowcount == 1, "the row is locked"


def knows(database: Database, job_id: str) -> bool:
    """Whether there is a job, or an execution, of that id in a database."""
    with database.read() as connection:
        job = connection.scalar(statements.JOB_KNOWN, {"job_id": job_id})
        execution = connection.scalar(statements.EXECUTION_KNOWN, {"of_job": job_id})
    return job is not None or execution is not None


def _locked(connection: Connection, service: str | None, job_id: str) -> Job:
    which = {"job_id": job_id}
    if service is None:
        return found(connection.execute(statements.LOCK_JOB, which), job_id)
    which["service"] = service
    return found(connection.execute(statements.LOCK_JOB_OF_SERVICE, which), job_id)


def _set_want(connection: Connection, job_id: str, want: Want) -> None:
    values: dict[str, Any] = {"of_job": job_id, "want": want}
    if want is Want.STOP:  # what was never handed over, or is over, needs no stopping
        connection.execute(statements.WRITE_EXECUTION, values)
        return
    values["settled"] = False
    if connection.execute(statements.WRITE_EXECUTION, values).rowcount == 0:
        connection.execute(statements.ADD_EXECUTION, _wanted(job_id, want))


def _wanted(job_id: str, want: Want) -> dict[str, Any]:
    return {"job_id": job_id, "want": want, "settled": False}
