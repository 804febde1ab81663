"""Start a process of the job: in a session, with streams and signals of its own."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STREAMS = (
    (0, os.devnull, os.O_RDONLY),
    (1, "logs/stdout", os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    (2, "logs/stderr", os.O_WRONLY | os.O_APPEND | os.O_CREAT),
)


class Child:
    """A process that runs ``action`` in the workspace, and what it complains about.

    ``action`` either becomes another program or returns; what it raises is the complaint.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._complaint, writer = os.pipe()
        worker = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            _run(action, writer, worker)
        os.close(writer)

    def complaint(self) -> str:
        """Say what kept the action from its end, once it has ended; empty if nothing did."""
        with os.fdopen(self._complaint, encoding="utf-8", errors="replace") as file:
            return file.read()


def adopt_orphans() -> None:
    """Let every process whose parent is gone become a child of this one."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _run(action: Callable[[], None], writer: int, worker: int) -> None:
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != worker:  # it was killed a moment before the kernel knew
            os._exit(1)
        for number, path, flags in _STREAMS:
            os.dup2(os.open(path, flags | os.O_NOFOLLOW, 0o600), number)
        # Python ignores these two and programs do not expect that; the worker blocks others.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        action()
    except BaseException as error:  # noqa: BLE001 - nothing may get back into the worker's own code
        os.write(writer, (str(error) or type(error).__name__).encode(errors="replace")[:4096])
        os._exit(1)
    os._exit(0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
