"""Looks for the records that jobs leave when they start and end, so that nobody waits for squeue.

No file system that nodes share tells of what others write in it. A thread looks every now and
then, and rarely where a look takes long: it is a hint, and squeue is the net.
"""

import os
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from uwsd.backends.base import Handle

_PAUSE = 0.5  #: seconds between two rounds
_SHARE = 10  #: how much longer than a round the pause is at least
_AT_ONCE = 64  #: records that are looked for in passing


class Lookout:
    """The records that are expected, and a descriptor that is readable when there is one."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_restless = False  #: whether to wake up at each round, whatever is there
        self._expected: Mapping[Handle, Path] = {}
        self._seen: set[Handle] = set()
        self._rounds: threading.Thread | None = None
        self._stop = threading.Event()
        weakref.finalize(self, _close, self._stop, self.descriptor)

    def expect(self, expected: Mapping[Handle, Path]) -> None:
        """Look for these from now on, and for no others."""
        self._expected = expected

    def found(self) -> set[Handle]:
        """Return those whose record is there, as far as that is known or quickly seen."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)
        seen, self._seen = self._seen, set()
        return seen | {h for h, path in islice(self._expected.items(), _AT_ONCE) if path.exists()}

    def start(self) -> None:
        """Look in the background, for as long as this object lives."""
        if self._rounds is None:
            me = weakref.ref(self)
            self._rounds = threading.Thread(target=_go_round, args=(me, self._stop), daemon=True)
            self._rounds.start()

    def look(self) -> float:
        """Look for all once, and ring if there is one; return how long that took."""
        began = time.monotonic()
        expected = self._expected
        self._seen = {handle for handle, path in expected.items() if path.exists()}
        if self.is_restless or self._seen:
            os.eventfd_write(self.descriptor, 1)
        return time.monotonic() - began


def _go_round(lookout: "weakref.ref[Lookout]", stop: threading.Event) -> None:
    pause = _PAUSE
    while not stop.wait(pause):
        there = lookout()
        if there is None:
            return
        pause = max(_PAUSE, _SHARE * there.look())
        del there


def _close(stop: threading.Event, descriptor: int) -> None:
    stop.set()
    os.close(descriptor)
