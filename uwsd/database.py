"""The database: how connections are made, and how a transaction begins, on each store.

SQLite, the embedded default, runs in WAL mode with ``synchronous=FULL``: what was answered
survives a power cut. Its own busy wait would stop every greenlet of a web process, so it is
off, and a writer that finds the database locked asks again after a few milliseconds.
"""

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, event, func, make_url, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

_PATIENCE = 10.0
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=0",
    "PRAGMA foreign_keys=ON",
)


class NotAlone(Exception):
    """The right to be the only one is lost; another process may have it now."""


class DatabaseBusy(Exception):
    """Somebody else has held the database locked for too long."""


DATABASE_FAULTS = (DatabaseBusy, SQLAlchemyError, sqlite3.Error)
"""What is raised when the database cannot be used, now or at all."""


class Database:
    """Where jobs are kept: ``read()`` for one look, ``write()`` for one transaction."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.embedded = self.url.get_backend_name() == "sqlite"
        self._texts: dict[Select[Any], tuple[str, Sequence[str]]] = {}
        self._glancers: list[sqlite3.Connection] = []  # those that nobody uses just now
        self._writers: AbstractContextManager[object] = nullcontext()
        if self.embedded:
            # Writers of one process stand in line here, where waiting costs nothing.
            self._writers = threading.Lock()
            self._engine = create_engine(self.url, pool_timeout=_PATIENCE)
            event.listen(self._engine, "connect", _prepare)
        else:
            self._engine = create_engine(self.url, pool_pre_ping=True, pool_size=10)

    @classmethod
    def in_file(cls, path: Path) -> "Database":
        """Open the embedded database that is kept in one file."""
        return cls(f"sqlite:///{path}")

    @property
    def conninfo(self) -> str:
        """What PostgreSQL's own library connects with; it may hold a password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    @contextmanager
    def alone(self, key: int, patience: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Wait until no other process is in here with the same ``key``; PostgreSQL only.

        ``patience`` is called between two tries. What is given raises `NotAlone` when the
        connection is lost: the server lets another in then.
        """
        with self.read() as connection:
            while not connection.scalar(select(func.pg_try_advisory_lock(key))):
                patience()
            yield partial(_require, connection)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, for migrations."""
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection on which each statement stands alone."""
        with self._engine.connect() as connection:
            # The embedded one is in this mode anyway, see _prepare.
            level = {} if self.embedded else {"isolation_level": "AUTOCOMMIT"}
            yield connection.execution_options(**level)

    def glance(self, query: Select[Any], values: Mapping[str, str]) -> Sequence[Any] | None:
        """Return the first row of a query that every request asks; of plain columns only.

        The embedded database is asked without SQLAlchemy's pool and Connection: they cost ten
        times what the query does, and a quarter of all that a GET costs.
        """
        if not self.embedded:
            with self.read() as connection:
                return connection.execute(query, values).first()
        text, names = self._compiled(query)
        with self._glancer() as glancer:
            rows = glancer.execute(text, [values[name] for name in names]).fetchall()
        return rows[0] if rows else None

    def _compiled(self, query: Select[Any]) -> tuple[str, Sequence[str]]:
        if query not in self._texts:
            compiled = query.compile(self._engine)
            self._texts[query] = str(compiled), compiled.positiontup or ()
        return self._texts[query]

    @contextmanager
    def _glancer(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._glancers.pop()
        except IndexError:
            connection = self._connect_glancer()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._glancers.append(connection)

    def _connect_glancer(self) -> sqlite3.Connection:
        made = self._engine.raw_connection()
        made.detach()
        connection = made.dbapi_connection
        assert isinstance(connection, sqlite3.Connection)
        return connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction; it is committed unless an error passes through."""
        with self._writers, self._engine.connect() as connection:
            if self.embedded:
                _begin_immediate(connection)
                with _sqlite_transaction(connection):
                    yield connection
            else:
                with connection.begin():
                    yield connection

    def close(self) -> None:
        """Close every connection that nobody uses."""
        while self._glancers:
            self._glancers.pop().close()
        self._engine.dispose()


def _require(connection: Connection) -> None:
    try:
        connection.execute(select(1)).close()
    except SQLAlchemyError as error:
        raise NotAlone("the connection that kept others out is lost") from error


def _prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are ours to begin and to end
    for pragma in _PRAGMAS:
        _patiently(partial(connection.execute, pragma))


def _begin_immediate(connection: Connection) -> None:
    # A transaction that begins by reading may not be able to write later, whatever it waits.
    _patiently(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))


@contextmanager
def _sqlite_transaction(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _patiently(attempt: Callable[[], object]) -> None:
    give_up = time.monotonic() + _PATIENCE
    while True:
        try:
            attempt()
        except (OperationalError, sqlite3.OperationalError) as error:
            if "locked" not in str(error):
                raise
            if time.monotonic() > give_up:
                raise DatabaseBusy("the database is locked; try again") from error
            time.sleep(random.uniform(0.001, 0.005))  # noqa: S311 - only spreads the retries
        else:
            return
