"""What wakes the supervisor: it rings when the engine tells of something, or at a given time.

It is a hint and no more. Events may be lost; the engine's list is the truth.
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from uwsd.backends.base import BackendError

_NEWS = frozenset(("die", "destroy", "oom", "pause", "unpause", "start"))
_SHORTEST, _LONGEST = 0.1, 5.0  # seconds between two attempts to follow the events
_log = logging.getLogger(__name__)


class Bell:
    """A file descriptor that is readable from `ring` to `silence`."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        weakref.finalize(self, os.close, self.descriptor)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._due = float("inf")

    def ring(self) -> None:
        """Make it readable."""
        os.eventfd_write(self.descriptor, 1)

    def silence(self) -> None:
        """Make it unreadable."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def ring_at(self, due: float) -> None:
        """Ring once the monotonic clock shows ``due``, unless it rings before."""
        with self._lock:
            if self._timer is not None and self._due <= due:
                return
            if self._timer is not None:
                self._timer.cancel()
            self._due = due
            self._timer = threading.Timer(max(0.0, due - time.monotonic()), self._ring_now)
            self._timer.daemon = True
            self._timer.start()

    def _ring_now(self) -> None:
        with self._lock:
            self._timer, self._due = None, float("inf")
        self.ring()


def follow(events: Callable[[], Iterable[Mapping[str, Any]]], bell: Bell) -> None:
    """Ring for ever, in the background, whenever one of the events is news."""
    threading.Thread(target=_follow, args=(events, bell), daemon=True).start()


def _follow(events: Callable[[], Iterable[Mapping[str, Any]]], bell: Bell) -> None:
    pause = _SHORTEST
    while True:
        try:
            for event in events():
                pause = _SHORTEST
                if event.get("Action") in _NEWS:
                    bell.ring()
        except BackendError as error:
            _log.debug("the events cannot be followed: %s", error)
        # Something may have happened meanwhile.
        bell.ring()
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST)
