"""The database: how connections are made, and how a transaction begins, on each store."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, create_engine, func, make_url, select
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from uwsd.embedded import Aside, DatabaseBusy, Embedded, at_once

__all__ = ["DATABASE_FAULTS", "Aside", "Database", "DatabaseBusy", "NotAlone", "at_once"]


class NotAlone(Exception):
    """The right to be the only one is lost; another process may have it now."""


DATABASE_FAULTS = (DatabaseBusy, SQLAlchemyError, sqlite3.Error)
"""What is raised when the database cannot be used, now or at all."""

_OUTAGES = (DatabaseBusy, OperationalError, InterfaceError, sqlite3.OperationalError)


def log_fault(log: logging.Logger, fault: Exception, what: str) -> None:
    """Log one of `DATABASE_FAULTS`: in a line, for while the database is away there are many.

    What is no outage is a fault of ours, and is told with its traceback.
    """
    if isinstance(fault, _OUTAGES):
        said = str(getattr(fault, "orig", None) or fault).partition("\n")[0]
        log.warning("%s: the database cannot be used: %s", what, said)
    else:
        log.error("%s: the database cannot be used", what, exc_info=fault)


class Database:
    """Where jobs are kept: ``read()`` for one look, ``write()`` for one transaction."""

    def __init__(self, url: str, aside: Aside = at_once) -> None:
        """Open the database at ``url``; ``aside`` is for the embedded one, see there."""
        self.url = make_url(url)
        self._embedded: Embedded | None = None
        if self.url.get_backend_name() == "sqlite":
            self._embedded = Embedded(self.url, aside)
            self._engine = self._embedded.engine
        else:
            self._engine = create_engine(self.url, pool_pre_ping=True, pool_size=10)

    @property
    def embedded(self) -> bool:
        """Whether it is SQLite, in a file."""
        return self._embedded is not None

    @classmethod
    def in_file(cls, path: Path) -> "Database":
        """Open the embedded database that is kept in one file."""
        return cls(f"sqlite:///{path}")

    @property
    def conninfo(self) -> str:
        """What PostgreSQL's own library connects with; it may hold a password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def ping(self) -> None:
        """Ask for nothing; raise one of `DATABASE_FAULTS` if there is no answer."""
        with self.read() as connection:
            connection.execute(select(1)).close()

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
        """Return the first row of what every request asks for; of plain columns only."""
        if self._embedded is not None:
            return self._embedded.glance(query, values)
        with self.read() as connection:
            return connection.execute(query, values).first()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction; it is committed unless an error passes through."""
        begun = self._engine.begin() if self._embedded is None else self._embedded.write()
        with begun as connection:
            yield connection

    def close(self) -> None:
        """Close every connection that nobody uses."""
        if self._embedded is not None:
            self._embedded.close()
        self._engine.dispose()


def _require(connection: Connection) -> None:
    try:
        connection.execute(select(1)).close()
    except SQLAlchemyError as error:
        raise NotAlone("the connection that kept others out is lost") from error
