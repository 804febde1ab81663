"""All processes of a job: waiting for them, and ending them."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from .processes import descendants

EVENTS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP}
"""What the worker hears of: it blocks these and asks for them one by one."""

_LOOK_AGAIN = 0.05  #: seconds, for what started while everybody else was told to end


class Tree:
    """The main process of a job and whatever came from it.

    The worker has adopted the orphans, so nobody is left when it has no child left: not even
    one that left the session or the group, or whose parents are gone.
    """

    def __init__(self, main: int) -> None:
        self._main = main
        self.status: int | None = None  #: of the main process, as `os.waitpid` gives it
        self.is_empty = False

    def reap(self) -> None:
        """Take leave of every child that has ended."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._main:
                    self.status = ended[1]
            return
        self.is_empty = True

    def end(self, grace: float) -> None:
        """Ask everybody to end; make sure after ``grace`` seconds, or when SIGQUIT comes."""
        deadline = time.monotonic() + grace
        asked: set[int] = set()
        self.reap()
        while not self.is_empty:
            if time.monotonic() < deadline:
                _signal(new := _groups() - asked, signal.SIGTERM)
                asked |= new
            else:
                _signal(_groups(), signal.SIGKILL)
            event = signal.sigtimedwait(EVENTS, _LOOK_AGAIN)
            if event and event.si_signo == signal.SIGQUIT:
                deadline = 0
            self.reap()


def _groups() -> set[int]:
    # Group by group, because a group is told at once: nobody in it can fork and get away.
    return {status.group for status in descendants(os.getpid())} - {os.getpgrp()}


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
