"""What a site remembers of itself, in the database that all its processes share.

A few small facts, each under a name: that it is being drained, the key it signs with. They
survive a restart, and every process of the site sees the same.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, Column, Connection, MetaData, String, Table, delete, insert, select

from uwsd.database import Database

metadata = MetaData()

state = Table(
    "state",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", JSON, nullable=False),
)


class State:
    """The facts of a site by name; a value is what JSON can hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Any:
        """Return a fact, or None when there is none of that name."""
        with self._database.read() as connection:
            return _read(connection, name)

    def put(self, name: str, value: Any) -> None:
        """Remember a fact in place of the one that there may be."""
        with self._database.write() as connection:
            _write(connection, name, value)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a fact that is made when it is first asked for, and the same ever after."""
        known = self.get(name)
        if known is not None:
            return known
        with self._database.write() as connection:
            _lock(connection)
            known = _read(connection, name)  # another process may have been first
            if known is None:
                known = make()
                _write(connection, name, known)
            return known

    def remove(self, name: str) -> None:
        """Forget a fact. Forgetting twice is harmless."""
        with self._database.write() as connection:
            connection.execute(delete(state).where(state.c.name == name))


def _read(connection: Connection, name: str) -> Any:
    return connection.scalar(select(state.c.value).where(state.c.name == name))


def _write(connection: Connection, name: str, value: Any) -> None:
    _lock(connection)
    connection.execute(delete(state).where(state.c.name == name))
    connection.execute(insert(state).values(name=name, value=value))


def _lock(connection: Connection) -> None:
    """Keep other writers out until the commit; the embedded database does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE state IN SHARE ROW EXCLUSIVE MODE")
