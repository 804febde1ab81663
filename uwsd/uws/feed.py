"""The change feed: who waits for a job is told when it has changed, and asks nobody until then.

Here is what every feed promises, and the one of the embedded database. There each change leaves a
row in ``change``; after the commit one byte goes to the datagram socket of every listener, which
then reads the rows it has not seen. A byte may be lost when a process is killed between the two,
so a listener also looks at SQLite's ``data_version`` now and then: it tells of any commit and
costs no query.
"""

import os
import socket
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, delete, func, insert, select

from uwsd.database import Database
from uwsd.uws.tables import change

_KEEP = 10_000
"""How many changes are kept: far more than happen between two looks of a listener."""
_PRUNE_EVERY = 1_000


class FeedBroken(Exception):
    """The feed was interrupted: changes may have been missed, so look at everything."""


class Listener(Protocol):
    """One who wants to know which jobs have changed."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when something may have changed.

        Raises `FeedBroken` when there is none now; ask again later.
        """

    def changed(self) -> Iterable[str]:
        """Return the ids of the jobs that have changed since the last call.

        Raises `FeedBroken` when some may have been missed; the next call hears again.
        """

    def close(self) -> None:
        """Stop listening."""


class Feed(Protocol):
    """How a store tells of its changes."""

    def note(self, connection: Connection, job_id: str) -> None:
        """Write the change down, in the transaction that makes it."""

    def publish(self) -> None:
        """Tell the listeners to look, after the commit."""

    def listen(self) -> Listener:
        """Return a new listener, which hears of every change from now on."""


class SqliteFeed:
    """The feed of the embedded database; ``folder`` holds the listeners' sockets."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Addressed through a descriptor: a socket's path may have 107 bytes at the most.
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._sender = _datagram_socket()

    def note(self, connection: Connection, job_id: str) -> None:
        """Leave a row that says which job has changed."""
        noted = insert(change).values(job_id=job_id).returning(change.c.seq)
        seq = connection.execute(noted).scalar_one()
        if seq % _PRUNE_EVERY == 0:
            connection.execute(delete(change).where(change.c.seq <= seq - _KEEP))

    def publish(self) -> None:
        """Send a byte to every listener; forget those that are gone."""
        for name in os.listdir(self._folder):  # noqa: PTH208 - of a descriptor
            try:
                self._sender.sendto(b"!", self._address(name))
            except BlockingIOError:
                pass  # its buffer is full of bytes that say the same
            except (ConnectionRefusedError, FileNotFoundError):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self._folder)

    def listen(self) -> "SqliteListener":
        """Bind a socket of its own in the folder."""
        name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        return SqliteListener(self._database, self._address(name))

    def _address(self, name: str) -> str:
        return f"/proc/self/fd/{self._folder}/{name}"

    def close(self) -> None:
        """Close the sender and the folder."""
        self._sender.close()
        os.close(self._folder)


class SqliteListener:
    """A listener's socket, and how much of the table it has read."""

    def __init__(self, database: Database, address: str) -> None:
        self._address = address
        self._socket = _datagram_socket()
        self._socket.bind(address)
        # data_version tells of the commits of others: this connection never writes.
        self._connection = database.engine.connect()
        self._version = self._data_version()
        self._seen = self._connection.scalar(select(func.max(change.c.seq))) or 0

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def changed(self) -> list[str]:
        """Return the ids noted since the last call, and empty the socket."""
        self._drain()
        version = self._data_version()
        if version == self._version:
            return []
        self._version = version
        unseen = select(change.c.seq, change.c.job_id).where(change.c.seq > self._seen)
        rows = self._connection.execute(unseen.order_by(change.c.seq)).all()
        if rows:
            self._seen = rows[-1].seq
        return [row.job_id for row in rows]

    def close(self) -> None:
        """Give the socket's name and the connection back."""
        self._socket.close()
        self._connection.close()
        with suppress(FileNotFoundError):
            Path(self._address).unlink()

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while self._socket.recv(1):
                pass

    def _data_version(self) -> int:
        return int(self._connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def _datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)  # gevent's sockets do not take SOCK_NONBLOCK for an answer
    return made
