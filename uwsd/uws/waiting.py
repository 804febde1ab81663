"""Blocking reads: a WAIT sleeps until its job changes (UWS 1.1 section 2.2.1.2).

One watcher a process reads the feed; a waiter costs an event in a dictionary, and neither a
thread of its own under gevent nor a query nor a connection.
"""

import logging
import select
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from uwsd.uws.feed import FeedBroken, Listener

_log = logging.getLogger(__name__)
_NET = 0.5
"""Seconds after which the watcher looks even if nobody has told it to."""


class Change:
    """The next change of one job, as one waiter waits for it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def happened(self) -> None:
        """Wake the waiter."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Sleep until the change or for ``seconds``, never less; return whether it came."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            if self._event.wait(rest):
                return True
        return self._event.is_set()


class Waiting:
    """All the waiters of one process."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._waiters: dict[str, set[Change]] = defaultdict(set)
        self._closed = False
        self._watcher = threading.Thread(target=self._watch, name="uwsd-watcher", daemon=True)
        self._watcher.start()

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Change]:
        """Give the job's next change; subscribe first and read the job after, or one is lost."""
        change = Change()
        self._waiters[job_id].add(change)
        try:
            yield change
        finally:
            self._leave(job_id, change)

    def wake_all(self) -> None:
        """Wake every waiter, as when the server stops: an early answer is allowed."""
        for job_id in list(self._waiters):
            self._wake(job_id)

    def close(self) -> None:
        """Wake everybody and stop watching."""
        self._closed = True
        self.wake_all()
        self._watcher.join()
        self._listener.close()

    def _watch(self) -> None:
        while not self._closed:
            try:
                _await_readable(self._listener.fileno(), _NET)
                changed = self._listener.changed()
            except FeedBroken as broken:
                _log.warning("%s; waking everybody", broken)
                self.wake_all()
                time.sleep(_NET)
            except Exception:  # noqa: BLE001 - whatever it was, the waiters must not sleep on
                _log.exception("the change feed cannot be read; waking everybody")
                self.wake_all()
                time.sleep(_NET)
            else:
                for job_id in changed:
                    self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        for change in self._waiters.pop(job_id, ()):
            change.happened()

    def _leave(self, job_id: str, change: Change) -> None:
        waiters = self._waiters.get(job_id)
        if waiters is not None:
            waiters.discard(change)
            if not waiters:
                del self._waiters[job_id]


def _await_readable(descriptor: int, seconds: float) -> None:
    poller = select.poll()  # select() knows no descriptor above 1023
    poller.register(descriptor, select.POLLIN)
    poller.poll(seconds * 1000)
