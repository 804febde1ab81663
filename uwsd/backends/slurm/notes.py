"""What is on file about a job on Slurm: its worker's records, and a note of ours beside them.

``run/slurm.json`` is written before Slurm is asked to take the job, and when it has. The folder may
be open to another account, that of the job: what is in it is read as somebody else's.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from uwsd.backends.base import BackendError
from uwsd.backends.records import ENDINGS
from uwsd.backends.slurm.options import ACCOUNT
from uwsd.worker.processes import NOBODY
from uwsd.worker.records import Exit, Records, Start, read, write

_NONSENSE = (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError)
"""What reading a record may raise in whose place somebody has put something else."""

_DIGITS = re.compile(r"[0-9]{0,20}")
_LOCKS = 64
_PATIENCE = 5.0  #: seconds for another process to be done with a job
_PAUSE = 0.01
_MARK = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Note(NamedTuple):
    """What Slurm calls a job, and what it was told of it."""

    id: str  #: empty until it is known to have taken the job
    key: str  #: its name
    account: str  #: in which it runs; empty: the server's own
    duration: int  #: seconds
    words: list[str]  #: sbatch's arguments
    settled: bool = False
    """Whether Slurm has listed it for so long that it keeps it, and that it is released."""


class SlurmJob(Records):
    """All that is on file about the job of a workspace."""

    def __init__(self, workspace: Path) -> None:
        super().__init__(workspace)
        self._note_file = self.folder / "slurm.json"

    def note(self) -> Note | None:
        """Return what Slurm calls it; None if it was never asked to take it."""
        with suppress(*_NONSENSE):
            record = read(self._note_file)
            note = record and Note(**record)
            is_one = (
                note and _DIGITS.fullmatch(note.id) and ACCOUNT.fullmatch(note.account or "none")
            )
            return note if is_one and isinstance(note.words, list) else None
        return None

    def write_note(self, note: Note) -> None:
        """Write down what Slurm calls it, before anything else is done with it."""
        write(self._note_file, note._asdict())

    def mark_cancelled(self) -> None:
        """Let its worker know that whoever stops it does so on our behalf."""
        os.close(os.open(self.cancel_file, _MARK, 0o644))

    def start(self) -> Start | None:
        """Return who has the job; None also if that cannot be understood."""
        with suppress(*_NONSENSE):
            start = super().start()
            return start if start is None or _is_told(start.at) else None
        return None

    def exit(self) -> Exit | None:
        """Return how the job ended; None also if that cannot be understood."""
        with suppress(*_NONSENSE):
            ending = super().exit()
            times = (ending.started, ending.ended) if ending else ()
            if ending and ending.why in ENDINGS and all(t is None or _is_told(t) for t in times):
                return ending
        return None

    def last_start(self) -> tuple[Start | None, int]:
        """Return its latest start, and how often it had been begun before."""
        start = self.start()
        restart = str(start.where.get("restart", "")) if start else ""
        return start, int(restart) if _DIGITS.fullmatch(restart) and restart else 0

    def try_file(self, restart: int) -> Path:
        """Return what is there once the job has begun, after so many restarts."""
        return self.folder / f"before-{restart}" if restart else self.start_file

    def forbid(self) -> bool:
        """Keep it from ever starting; say whether that is so: it may have started."""
        return self.claim(NOBODY)

    def close(self, why: str, message: str = "") -> None:
        """Say the last word about a job that nobody will start."""
        self.write_exit(Exit(why, message=message, ended=time.time()))


class Locks:
    """One process at a time for each job, on all machines that see the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def hold(self, job_id: str) -> Iterator[int]:
        """Hold a job's lock; give its descriptor.

        Who inherits it holds the lock as well: a submission that has outlived its server.
        """
        # A file, since NFS locks no folder; one of a few, since nobody could remove it.
        path = self._folder / f"lock-{crc32(job_id.encode()) % _LOCKS}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(descriptor, job_id)
            yield descriptor
        finally:
            os.close(descriptor)


def _is_told(moment: object) -> bool:
    """Whether it is a time in this century, in seconds since 1970."""
    return isinstance(moment, int | float) and 0 <= moment < 2**32


def _lock(descriptor: int, job_id: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BackendError(f"somebody else is busy with job {job_id}") from None
            time.sleep(_PAUSE)
        else:
            return
