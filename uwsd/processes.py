"""What the processes of one server share: who may run on a data folder, and who ends with whom."""

import ctypes
import fcntl
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LISTENER = "UWSD_LISTENER"
"""The environment variable that hands a web server the socket of `uwsd serve`."""

PARENT = "UWSD_PARENT"
"""The environment variable that tells a child of `uwsd serve` who has started it."""

_PR_SET_PDEATHSIG = 1


class AlreadyRunning(Exception):
    """Another process holds the lock."""


@contextmanager
def alone(lock: Path, what: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock file for as long as the block lasts, or raise `AlreadyRunning`.

    The lock goes with the process, however that ends. ``patience`` is for how many seconds to
    wait for one that is just ending.
    """
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with lock.open("a+") as file:
        _take(file.fileno(), patience, lambda: f"{what} (process {_holder(lock)})")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def allow_descriptors(needed: int) -> int:
    """Let this process open ``needed`` files, if it may; return how many it may open."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < needed:
        now = min(needed, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, most))
    return now


def die_with_parent() -> None:
    """Have the kernel end this process when `uwsd serve` ends, however that happens.

    That may have been before this process was asked to: by then it has another parent.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(os.environ[PARENT]):
        sys.exit("the process that started this one is gone")


def _take(descriptor: int, patience: float, taken: Callable[[], str]) -> None:
    give_up = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise AlreadyRunning(taken()) from None
            time.sleep(0.05)
        else:
            return


def _holder(lock: Path) -> str:
    return lock.read_text() or "just starting"
