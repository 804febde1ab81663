"""A process that is started again whenever it ends, as an init system does."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from uwsd.worker.processes import everybody

_PAUSE = 0.3  #: seconds until what has ended by itself is started again
_PATIENCE = 30.0  #: seconds in which a process ends that is asked to


class Unit:
    """One process, kept running for as long as the context lasts."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        """``folder`` is where it works, and where what it prints is kept."""
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = tuple(command)
        self._environment = dict(environment)
        self._folder = folder
        self._pause = _PAUSE
        self._ends = threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._process.terminate()
        self._keeper.join(_PATIENCE)
        self.kill(0)
        self._keeper.join()

    @property
    def pid(self) -> int:
        """The process that runs now, or ran last."""
        return self._process.pid

    def kill(self, pause: float) -> bool:
        """End the process without any notice, and start it again after ``pause`` seconds."""
        if self._process.poll() is not None:
            return False
        self._pause = pause
        self._process.kill()
        return True

    def kill_all(self, pause: float) -> bool:
        """End the process and its children at once."""
        children = [status.pid for status in everybody() if status.parent == self.pid]
        was_there = self.kill(pause)
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return was_there

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if self._ends.wait(self._pause):
                return
            self._pause = _PAUSE
            self._process = self._start()
