"""The files in ``run/`` that a worker and those who start it leave for one another."""

from __future__ import annotations  # the nodes of a cluster may have Python 3.9

import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TextIO

from .processes import NOBODY, Process

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST = 64 * 1024**2

_ROOM = 8192  #: bytes, enough for any record


class Order(NamedTuple):
    """``task.json``: what to run. Paths are relative to the workspace."""

    command: list[str]
    environment: dict[str, str]
    fetch: list[dict[str, Any]]  #: arguments of `fetch.fetch`, with ``path`` in place of a target
    duration: int  #: seconds; 0: no limit
    memory: int  #: bytes; 0: no limit
    grace: float  #: seconds between asking to end and making sure
    remote: bool = False  #: whether an engine has started the worker, and nobody can signal it
    shared: bool = False  #: whether another account must be able to read what the job leaves
    inherit: tuple[str, ...] = ()  #: variables that the command is given as the worker has them


class Start(NamedTuple):
    """``start.json``: whose job it is, and since when."""

    worker: Process
    at: float  #: seconds since 1970
    where: Mapping[str, str] = MappingProxyType({})  #: what an engine calls the job, and its place


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
        self.start_file = self.folder / "start.json"
        self._leader_file = self.folder / "command.json"
        self._limits_file = self.folder / "limits.json"
        self.exit_file = self.folder / "exit.json"
        self._room_file = self.folder / "exit.json.room"
        self._outputs = workspace / "outputs"

    def order(self) -> Order | None:
        """Return what to run."""
        record = read(self.task_file)
        return record and Order(**record)

    def start(self) -> Start | None:
        """Return who has the job."""
        record = read(self.start_file)
        return record and Start(
            Process(*record["worker"]), record["at"], dict(record.get("where", {}))
        )

    def leader(self) -> Leader | None:
        """Return who leads the command's session, or led it."""
        record = read(self._leader_file)
        return record and Leader(Process(*record["process"]), record["group"])

    def duration(self) -> int | None:
        """Return the duration that has taken the place of the order's, in seconds."""
        record = read(self._limits_file)
        return record and int(record["duration"])

    def exit(self) -> Exit | None:
        """Return how the job ended."""
        record = read(self.exit_file)
        return record and Exit(**record)

    def claim(self, worker: Process, where: Mapping[str, str] = MappingProxyType({})) -> bool:
        """Make this the job's only worker, for ever; say whether it is."""
        draft = _draft(self.start_file, Start(worker, time.time(), dict(where))._asdict())
        with suppress(FileExistsError):
            os.link(draft, self.start_file)
        draft.unlink()
        return self.is_claimed_by(worker)

    def is_claimed_by(self, worker: Process) -> bool:
        """Say whether this is the job's only worker."""
        start = self.start()
        return start is not None and start.worker == worker

    def set_aside(self, restart: int) -> bool:
        """Make room for another try, which an engine calls its ``restart``; say whether it may.

        What there is of the former tries is kept in a folder of its own. Only one worker may do
        so, once for each try, and none if the job has been forbidden to start.
        """
        start = self.start()
        if self.cancel_file.exists() or (start and start.worker == NOBODY):
            return False
        kept = self.folder / f"before-{restart}"
        try:
            kept.mkdir()
        except FileExistsError:
            return False
        for path in (self.start_file, self._leader_file, self.exit_file):
            with suppress(FileNotFoundError):
                path.rename(kept / path.name)
        with suppress(PermissionError):  # in a workspace that is somebody else's
            self._outputs.rename(kept / self._outputs.name)
            self._outputs.mkdir(mode=0o700)
        return True

    def write_order(self, order: Order) -> None:
        """Hand the job over."""
        write(self.task_file, order._asdict())

    def write_leader(self, leader: Leader) -> None:
        """Note whom to look for if the worker should die."""
        write(self._leader_file, leader._asdict())

    def write_duration(self, duration: int) -> None:
        """Let another duration take the place of the order's."""
        write(self._limits_file, {"duration": duration})

    def keep_room(self) -> None:
        """Take the room for the exit record while there is some: the job may fill the disk."""
        self._room_file.write_bytes(b" " * _ROOM)

    def write_exit(self, ending: Exit) -> None:
        """Say the last word about the job, in the room that was kept for it if there is any."""
        record = ending._asdict()
        try:
            # The job may have put a link in its place: it must not lead to another file.
            room = os.open(self._room_file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            write(self.exit_file, record)
            return
        with os.fdopen(room, "r+", encoding="ascii") as file:
            if os.fstat(room).st_nlink != 1:
                write(self.exit_file, record)
                return
            _fill(file, record)
            file.truncate()
        self._room_file.rename(self.exit_file)


def read(path: Path) -> Any:
    """Return what a record says; None if it is not there.

    Those who run jobs may put anything in its place: only a regular file of some size is read,
    and one that is no record raises `ValueError`.
    """
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} is no file")
        return json.loads(file.read(_LONGEST))


def write(path: Path, record: Mapping[str, object]) -> None:
    """Put a record in place, whole or not at all, also if the machine loses power."""
    _draft(path, record).rename(path)


def _draft(path: Path, record: Mapping[str, object]) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with draft.open("x", encoding="ascii") as file:
        _fill(file, record)
    return draft


def _fill(file: TextIO, record: Mapping[str, object]) -> None:
    json.dump(record, file)
    file.flush()
    os.fsync(file.fileno())
