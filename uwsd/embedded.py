"""Writing to the embedded database, SQLite in WAL mode with ``synchronous=FULL``.

What is answered survives a power cut, so each commit waits for the disk. Those who want to write
meanwhile stand in line, and share the next commit: a slow disk makes answers late, not rare.

SQLite's own busy wait would stop every greenlet of a web process. It is off, and who finds the
database locked by another process asks again after a moment.
"""

import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, Engine, Select, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

_PATIENCE = 10.0
_MOST = 32
"""How many writes share a commit: other processes are waiting, too."""
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=0",
    "PRAGMA foreign_keys=ON",
)

Aside = Callable[[Callable[[], object]], None]
"""Runs what waits for the disk, in such a way that nobody else has to wait for it."""


def at_once(work: Callable[[], object]) -> None:
    """Wait for the disk right here: for a process in which nobody else has to."""
    work()


class DatabaseBusy(Exception):
    """Somebody else has held the database locked for too long."""


class Embedded:
    """The embedded database, as one process uses it."""

    def __init__(self, url: URL, aside: Aside) -> None:
        self.engine = create_engine(url, pool_timeout=_PATIENCE)
        event.listen(self.engine, "connect", _prepare)
        self._aside = aside
        self._line = threading.Lock()
        self._in_line: deque[None] = deque()
        self._batch: _Batch | None = None
        self._glancers: list[sqlite3.Connection] = []  # those that nobody uses just now
        self._texts: dict[Select[Any], tuple[str, Sequence[str]]] = {}

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection; what is done with it is on the disk when the block has ended.

        What the block raises undoes what the block has done.
        """
        with self._turn():
            batch = self._batch = self._batch or _Batch(self.engine)
            try:
                with batch.part() as connection:
                    yield connection
            finally:
                if not self._in_line or batch.size >= _MOST:
                    self._batch = None
                    batch.commit(self._aside)
        batch.wait()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait in line; whoever gives up is not waited for."""
        self._in_line.append(None)
        try:
            self._line.acquire()
        finally:
            self._in_line.pop()
        try:
            yield
        finally:
            self._line.release()

    def glance(self, query: Select[Any], values: Mapping[str, str]) -> Sequence[Any] | None:
        """Return the first row of a query, without SQLAlchemy's pool and Connection.

        They cost ten times what the query does, and a quarter of all that a GET costs.
        """
        text, names = self._compiled(query)
        with self._glancer() as glancer:
            rows = glancer.execute(text, [values[name] for name in names]).fetchall()
        return rows[0] if rows else None

    def close(self) -> None:
        """Close every connection that nobody uses."""
        while self._glancers:
            self._glancers.pop().close()
        self.engine.dispose()

    def _compiled(self, query: Select[Any]) -> tuple[str, Sequence[str]]:
        if query not in self._texts:
            compiled = query.compile(self.engine)
            self._texts[query] = str(compiled), compiled.positiontup or ()
        return self._texts[query]

    @contextmanager
    def _glancer(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._glancers.pop()
        except IndexError:
            made = self.engine.raw_connection()
            connection = _raw(made)
            made.detach()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._glancers.append(connection)


class _Batch:
    """Writes that share a transaction, and so a commit."""

    def __init__(self, engine: Engine) -> None:
        self.size = 0
        self._connection = engine.connect()
        self._connection.begin()  # for SQLAlchemy: nobody else is to end it
        self._raw = _raw(self._connection.connection)
        self._over = threading.Event()
        self._failure: BaseException | None = None
        try:
            # A transaction that begins by reading may not be able to write later.
            _patiently(partial(self._raw.execute, "BEGIN IMMEDIATE"))
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def part(self) -> Iterator[Connection]:
        """Give the connection for one write of the batch."""
        self._raw.execute("SAVEPOINT part")
        try:
            yield self._connection
        except BaseException:
            self._raw.execute("ROLLBACK TO part")
            raise
        finally:
            self._raw.execute("RELEASE part")
        self.size += 1

    def commit(self, aside: Aside) -> None:
        """Bring all parts to the disk, or none; `wait` tells which."""
        try:
            aside(partial(self._raw.execute, "COMMIT"))
        except BaseException as failure:  # noqa: BLE001 - `wait` raises it, for all of them
            self._failure = failure
        finally:
            self._connection.close()  # this rolls back what is not committed
            self._over.set()

    def wait(self) -> None:
        """Return when the parts are on the disk; raise if they will never be."""
        self._over.wait()
        if self._failure is not None:
            raise self._failure


def _raw(connection: PoolProxiedConnection) -> sqlite3.Connection:
    own = connection.dbapi_connection
    assert isinstance(own, sqlite3.Connection)
    return own


def _prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are ours to begin and to end
    for pragma in _PRAGMAS:
        _patiently(partial(connection.execute, pragma))


def _patiently(attempt: Callable[[], object]) -> None:
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            attempt()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            if time.monotonic() > give_up:
                raise DatabaseBusy("the database is locked; try again") from error
            time.sleep(random.uniform(0.0005, 0.003))  # noqa: S311 - only spreads the retries
        else:
            return
