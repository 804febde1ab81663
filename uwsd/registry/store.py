"""The records that this registry publishes, and when each has changed.

A datestamp is the second in which a change became visible here, whatever the record says of
itself: a harvester that asks for all since its last visit misses nothing. Reading and
publishing exclude each other, so that an answer dated T holds every change that is dated before T.
Each change also has a number, one higher than the last. Lists are in that order: a
record that changes while it is being listed in pages comes again on a later page.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    func,
    insert,
    select,
    update,
)

from uwsd.database import Database
from uwsd.registry.documents import stamped
from uwsd.registry.tables import record as table
from uwsd.uws import times

_LOCK = 0x75777372  # "uwsr": readers share it, who publishes has it alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record as the site describes it now: `stamped` adds the dates when it is published."""

    identifier: str  #: its IVOID, in lower case
    document: bytes  #: an ``ri:Resource``


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A record as harvesters get it."""

    identifier: str
    number: int  #: of its last change
    datestamp: datetime  #: of its last change, a whole second
    document: bytes | None  #: an ``ri:Resource`` with its dates; None when it is deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which records are wanted: changed from then until then, both included."""

    since: datetime | None = None
    until: datetime | None = None


class RecordStore:
    """The records of this site's registry."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = times.now) -> None:
        self._database = database
        self._clock = clock

    def publish(self, drafts: Sequence[Draft]) -> int:
        """Make these the site's records; return how many have changed.

        What has not changed keeps its datestamp. What is not among them any more is deleted,
        and its identifier stays known.
        """
        with self._database.write() as connection:
            _exclude(connection, alone=True)
            edit = _Edit(connection, self._clock())
            for draft in drafts:
                edit.keep(draft)
            edit.delete_others({draft.identifier for draft in drafts})
            return edit.changes

    @contextmanager
    def reading(self) -> Iterator["Reading"]:
        """Look at the records as they are at one moment; nothing is published meanwhile."""
        with self._database.write() as connection:
            _exclude(connection, alone=False)
            yield Reading(connection, self._clock())


class Reading:
    """The records at one moment."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        newest = connection.scalar(select(func.max(table.c.datestamp)))
        #: the moment, a whole second; never before the last change, even if a clock was set back
        self.at = max(_second(now), newest or _second(now))

    def get(self, identifier: str) -> Published | None:
        """Return one record, deleted or not."""
        found = select(*_COLUMNS).where(table.c.identifier == identifier)
        row = self._connection.execute(found).one_or_none()
        return None if row is None else _published(*row)

    def called(self, path: str) -> Published | None:
        """Return the live record of that path in its authority, such as ``registry``."""
        name = table.c.identifier.like(f"ivo://%/{path}"), table.c.document.is_not(None)
        for row in self._connection.execute(select(*_COLUMNS).where(*name)):
            if row.identifier.removeprefix("ivo://").partition("/")[2] == path:
                return _published(*row)
        return None

    def page(self, chosen: Selection, *, after: int, size: int) -> list[Published]:
        """Return up to ``size`` records whose last change has a number above ``after``."""
        query = select(*_COLUMNS).where(table.c.number > after, *_conditions(chosen))
        rows = self._connection.execute(query.order_by(table.c.number).limit(size))
        return [_published(*row) for row in rows]

    def count(self, chosen: Selection) -> int:
        """Return how many records there are."""
        query = select(func.count()).select_from(table).where(*_conditions(chosen))
        return int(self._connection.execute(query).scalar_one())

    def earliest(self) -> datetime:
        """Return the earliest datestamp that a record has, or this moment."""
        return self._connection.scalar(select(func.min(table.c.datestamp))) or self.at


_COLUMNS = (table.c.identifier, table.c.number, table.c.datestamp, table.c.document)


class _Edit:
    """One act of publishing: all its changes have the same datestamp."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        newest = select(func.max(table.c.number), func.max(table.c.datestamp))
        number, datestamp = connection.execute(newest).one()
        self._number = number or 0
        self._at = max(_second(now), datestamp or _second(now))
        self._known = {
            row.identifier: row
            for row in connection.execute(
                select(table.c.identifier, table.c.created, table.c.digest)
            )
        }
        self.changes = 0

    def keep(self, draft: Draft) -> None:
        digest = hashlib.sha256(draft.document).hexdigest()
        known = self._known.get(draft.identifier)
        if known is not None and known.digest == digest:
            return
        created = self._at if known is None else known.created
        document = stamped(draft.document, created=created, updated=self._at).decode()
        values = {"created": created, "digest": digest, "document": document}
        if known is None:
            self._write(insert(table).values(identifier=draft.identifier), values)
        else:
            self._write(_of(draft.identifier), values)

    def delete_others(self, kept: set[str]) -> None:
        for identifier, known in self._known.items():
            if identifier not in kept and known.digest is not None:
                self._write(_of(identifier), {"digest": None, "document": None})

    def _write(self, statement: Any, values: dict[str, Any]) -> None:
        self._number += 1
        self.changes += 1
        changed = {"number": self._number, "datestamp": self._at, **values}
        self._connection.execute(statement.values(**changed))


def _of(identifier: str) -> Any:
    return update(table).where(table.c.identifier == identifier)


def _published(
    identifier: str, number: int, datestamp: datetime, document: str | None
) -> Published:
    return Published(
        identifier=identifier,
        number=number,
        datestamp=datestamp,
        document=None if document is None else document.encode(),
    )


def _conditions(chosen: Selection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if chosen.since is not None:
        conditions.append(table.c.datestamp >= chosen.since)
    if chosen.until is not None:
        conditions.append(table.c.datestamp <= chosen.until)
    return conditions


def _exclude(connection: Connection, *, alone: bool) -> None:
    """Keep publishing and reading apart; on the embedded database the transaction does."""
    if connection.dialect.name == "postgresql":
        lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
        connection.execute(select(lock(_LOCK)))


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)
