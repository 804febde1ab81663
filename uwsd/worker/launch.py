"""Start a worker, and give it its job."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from .processes import identify
from .records import Records
from .tree import EVENTS

_PROGRAM = Path(__file__).with_name("__main__.py").absolute()
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def launch(python: Path, job: Records) -> int | None:
    """Start a worker for the job; return a pidfd of it at once.

    The claim is made here, in the worker's name, so that nothing has to wait for it to come up.
    None if another has the job already; then the new worker leaves. Raises `OSError`.
    """
    pid = os.posix_spawn(
        python,
        [str(python), "-I", "-S", str(_PROGRAM), str(job.workspace)],
        {},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, job.log_file, _APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # Blocked from before its first instruction: a signal that comes early is not lost.
        setsigmask=EVENTS,
        setsigdef=signal.valid_signals(),
    )
    if job.claim(identify(pid)):
        return os.pidfd_open(pid)
    os.waitpid(pid, 0)
    return None
