"""Blocking reads: a WAIT sleeps until its job changes (UWS 1.1 section 2.2.1.2).

One watcher a process reads the feed; a waiter costs an event in a dictionary, and neither a
thread of its own under gevent nor a query nor a connection.
"""

import logging
import random
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
_NO_ROOM = 1.0
"""Seconds after which those are answered for whom there is no room."""
_CROWD = 0.1
"""The part of the room that a crowd takes: about as many as are answered in a second."""
_AT_A_TIME = 8
_TURN = 0.001
"""Seconds between those of a crowd who are let out at a time, and the next ones."""


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
    """All the waiters of one process; ``room`` is for how many there is room."""

    def __init__(self, listener: Listener, *, room: int = 10_000) -> None:
        self._listener = listener
        self._room = room
        self._count = 0
        self._turnstile = threading.Semaphore(_AT_A_TIME)
        self._waiters: dict[str, set[Change]] = defaultdict(set)
        self._closed = False
        self._watcher = threading.Thread(target=self._watch, name="uwsd-watcher", daemon=True)
        self._watcher.start()

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Change]:
        """Give the job's next change; subscribe first and read the job after, or one is lost."""
        change = Change()
        self._waiters[job_id].add(change)
        self._count += 1
        try:
            yield change
        finally:
            self._count -= 1
            self._leave(job_id, change)

    def hold(self, change: Change, seconds: float) -> bool:
        """Sleep until the change, for ``seconds``, or for less if there are too many who do.

        A server may answer early (2.2.1.2). It does when a crowd that has come together would go
        together, and lets it out a few at a time: to answer thousands in one moment would stop
        everybody else. Who finds no room is not answered at once all the same, since some clients
        ask again without a pause. Returns whether the change has come.
        """
        has_come = change.wait(self._patience(seconds))
        if not has_come and self._is_crowded:
            with self._turnstile:
                time.sleep(_TURN)  # meanwhile others are heard
        return has_come

    def _patience(self, seconds: float) -> float:
        if self._count > self._room:
            return min(seconds, _NO_ROOM)
        if self._is_crowded:
            return seconds * random.uniform(0.75, 1)  # noqa: S311 - only spreads the answers
        return seconds

    @property
    def _is_crowded(self) -> bool:
        return self._count > self._room * _CROWD

    def wake_all(self) -> None:
        """Wake every waiter, as when the server stops: an early answer is allowed."""
        for job_id in list(self._waiters):
            self._wake(job_id)

    @property
    def is_closed(self) -> bool:
        """Whether nobody will be woken any more."""
        return self._closed

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
        for number, change in enumerate(self._waiters.pop(job_id, ()), 1):
            if number % _AT_A_TIME == 0:  # thousands may wait for one job
                time.sleep(_TURN)
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
