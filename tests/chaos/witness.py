"""What the jobs tell of their starts, read before anybody can remove it."""

import os
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_PAUSE = 0.1

JOURNAL = "journal"
"""The file outside the jobs' workspaces to which each job adds a line, if it can see it."""
STARTED = "outputs/started"
"""The file in its workspace to which it adds the same line in any case."""


class Witness:
    """Opens every job's own account of its starts; an open file can be read when it is removed."""

    def __init__(self, workspaces: Path, journal: Path) -> None:
        self._workspaces = workspaces
        self._journal = journal
        self._files: dict[tuple[str, int], int] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()
        for descriptor in self._files.values():
            os.close(descriptor)

    def starts(self) -> Counter[str]:
        """Count how often the command of each job was started."""
        lines = set(self._journal.read_text().splitlines())
        for descriptor in list(self._files.values()):
            size = os.fstat(descriptor).st_size
            lines |= set(os.pread(descriptor, size, 0).decode().splitlines())
        return Counter(line.partition(" ")[0] for line in lines)

    def _watch(self) -> None:
        while not self._ends.wait(_PAUSE):
            with suppress(FileNotFoundError):
                for workspace in os.scandir(self._workspaces):
                    self._look(workspace.name)

    def _look(self, job_id: str) -> None:
        path = self._workspaces / job_id / STARTED
        with suppress(OSError):
            if (job_id, path.stat().st_ino) not in self._files:
                descriptor = os.open(path, os.O_RDONLY)
                self._files[job_id, os.fstat(descriptor).st_ino] = descriptor
