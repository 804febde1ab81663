"""The change feed of PostgreSQL: NOTIFY in the transaction, LISTEN on a connection of its own."""

import psycopg
from sqlalchemy import Connection, func, select

from uwsd.database import Database
from uwsd.uws.feed import FeedBroken

_CHANNEL = "uwsd_job"


def require_cooperative() -> None:
    """Raise unless a query leaves the other greenlets of this process running.

    psycopg decides when it is imported: before gevent has patched, it would wait in C, and the
    whole process with it.
    """
    # Without its C part psycopg has no wait_c, and nothing to fear from it.
    if psycopg.waiting.wait is getattr(psycopg.waiting, "wait_c", None):
        raise RuntimeError(
            "psycopg was imported before gevent.monkey.patch_all(); see uwsd/wsgi.py"
        )


class PostgresqlFeed:
    """The feed of a PostgreSQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, connection: Connection, job_id: str) -> None:
        """Have the server tell everybody, as soon as the transaction is committed."""
        connection.execute(select(func.pg_notify(_CHANNEL, job_id)))

    def publish(self) -> None:
        """Do nothing: the commit has told already."""

    def listen(self) -> "PostgresqlListener":
        """Open a connection of its own; one of a pool would be handed on."""
        return PostgresqlListener(self._database)


class PostgresqlListener:
    """A connection that has said LISTEN; a lost one is made again when the server is there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = self._connect()
        self._was_deaf = False

    def fileno(self) -> int:
        """Return the connection's descriptor; raise `FeedBroken` while there is none."""
        if self._connection.closed:
            self._connection = self._connect()
            self._was_deaf = True
        return self._connection.fileno()

    def changed(self) -> list[str]:
        """Return the ids told since the last call."""
        if self._was_deaf:
            self._was_deaf = False
            raise FeedBroken("the connection to PostgreSQL is there again")
        try:
            return [heard.payload for heard in self._connection.notifies(timeout=0)]
        except psycopg.OperationalError as error:
            self._connection.close()
            raise FeedBroken("the connection to PostgreSQL is lost") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        try:
            connection = psycopg.connect(self._database.conninfo, autocommit=True)
            connection.execute(f"LISTEN {_CHANNEL}")
        except psycopg.OperationalError as error:
            raise FeedBroken("PostgreSQL cannot be reached") from error
        return connection
