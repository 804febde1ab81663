"""The files in ``run/`` that a worker and those who start it leave for one another."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from .processes import Process

_ROOM = 8192  #: bytes, enough for any record


class Order(NamedTuple):
    """``task.json``: what to run. Paths are relative to the workspace."""

    command: list[str]
    environment: dict[str, str]
    fetch: list[dict[str, Any]]  #: arguments of `fetch.fetch`, with ``path`` in place of a target
    duration: int  #: seconds; 0: no limit
    memory: int  #: bytes; 0: no limit
    grace: float  #: seconds between asking to end and making sure


class Start(NamedTuple):
    """``start.json``: whose job it is, and since when."""

    worker: Process
    at: float  #: seconds since 1970


class Leader(NamedTuple):
    """``command.json``: who leads the session of the command, and in which control group."""

    process: Process
    group: str  #: a folder; empty if there is none


class Exit(NamedTuple):
    """``exit.json``: how it ended."""

    why: str  #: exit, cancel, stop, duration, memory, launch or fetch; lost or restart by others
    code: int | None = None  #: exit status of the command
    signal: int | None = None  #: what killed the command
    message: str = ""
    started: float | None = None  #: seconds since 1970
    ended: float | None = None


class Records:
    """What is on file about the job of a workspace; None for what is not there."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.folder = workspace / "run"
        self.task_file = self.folder / "task.json"
        self.cancel_file = self.folder / "cancel"
        self.log_file = self.folder / "worker.log"
        self._start_file = self.folder / "start.json"
        self._leader_file = self.folder / "command.json"
        self._limits_file = self.folder / "limits.json"
        self._exit_file = self.folder / "exit.json"
        self._room_file = self.folder / "exit.json.room"

    def order(self) -> Order | None:
        """Return what to run."""
        record = _read(self.task_file)
        return record and Order(**record)

    def start(self) -> Start | None:
        """Return who has the job."""
        record = _read(self._start_file)
        return record and Start(Process(*record["worker"]), record["at"])

    def leader(self) -> Leader | None:
        """Return who leads the command's session, or led it."""
        record = _read(self._leader_file)
        return record and Leader(Process(*record["process"]), record["group"])

    def duration(self) -> int | None:
        """Return the duration that has taken the place of the order's, in seconds."""
        record = _read(self._limits_file)
        return record and int(record["duration"])

    def exit(self) -> Exit | None:
        """Return how the job ended."""
        record = _read(self._exit_file)
        return record and Exit(**record)

    def claim(self, worker: Process) -> bool:
        """Make this the job's only worker, for ever; say whether it is."""
        draft = _draft(self._start_file, Start(worker, time.time())._asdict())
        with suppress(FileExistsError):
            self._start_file.hardlink_to(draft)
        draft.unlink()
        start = self.start()
        return start is not None and start.worker == worker

    def write_order(self, order: Order) -> None:
        """Hand the job over."""
        _write(self.task_file, order._asdict())

    def write_leader(self, leader: Leader) -> None:
        """Note whom to look for if the worker should die."""
        _write(self._leader_file, leader._asdict())

    def write_duration(self, duration: int) -> None:
        """Let another duration take the place of the order's."""
        _write(self._limits_file, {"duration": duration})

    def keep_room(self) -> None:
        """Take the room for the exit record while there is some: the job may fill the disk."""
        self._room_file.write_bytes(b" " * _ROOM)

    def write_exit(self, ending: Exit) -> None:
        """Say the last word about the job, in the room that was kept for it if there is any."""
        record = ending._asdict()
        try:
            with self._room_file.open("r+", encoding="ascii") as file:
                _fill(file, record)
                file.truncate()
            self._room_file.rename(self._exit_file)
        except FileNotFoundError:
            _write(self._exit_file, record)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _write(path: Path, record: Mapping[str, object]) -> None:
    """Put a record in place, whole or not at all, also if the machine loses power."""
    _draft(path, record).rename(path)


def _draft(path: Path, record: Mapping[str, object]) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with draft.open("w", encoding="ascii") as file:
        _fill(file, record)
    return draft


def _fill(file: TextIO, record: Mapping[str, object]) -> None:
    json.dump(record, file)
    file.flush()
    os.fsync(file.fileno())
