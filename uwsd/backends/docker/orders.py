"""What uwsd itself keeps of each job: a folder a job, out of the job's reach.

``open/JOB/order.json``    what is to run, and what has been asked since: there from `add` on
``over/JOB/report.json``   the last word about a job that is over; the folder has moved

The order is there before anything is on the engine, and what is asked is written down before it
is done: whoever finds the folder can go on.
"""

import fcntl
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from uwsd.backends.base import BackendError, Report, State, Task

CANCEL, DURATION = "cancel", "duration"
"""Why a job is stopped by us."""

_MOMENTS = ("started", "ended")
_PAUSE = 0.02  # seconds between two looks at a lock
_log = logging.getLogger(__name__)


class Held(BackendError):
    """Another one is just starting or removing the job."""


class Order(BaseModel, frozen=True):
    """A job that is not over."""

    task: Task  #: without its files: they are in the workspace
    since: int  #: when it came, in nanoseconds since 1970: first come, first served
    duration: int  #: seconds it may run; 0: no limit
    fetching: bool = False  #: whether its inputs may not be there yet
    starting: float = 0  #: when a start was asked for, in seconds since 1970; 0: never
    stop: str = ""  #: why it is to end: empty, CANCEL or DURATION
    stop_at: float = 0  #: when that was decided, in seconds since 1970
    paused: float = 0  #: seconds for which it stood still
    paused_since: float = 0  #: since when it stands still; 0: it does not


class Orders:
    """The orders of one backend, in a folder that several processes may share."""

    def __init__(self, folder: Path) -> None:
        self._open = folder / "open"
        self._over = folder / "over"
        self._seen = folder / "seen"
        self._known: dict[str, tuple[tuple[int, int], Order | None]] = {}
        for part in (self._open, self._over):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other process and thread out for a moment; raises `BackendError`."""
        with problems():
            lock = _lock(self._open)
        try:
            yield
        finally:
            os.close(lock)

    @contextmanager
    def holding(self, job: str, within: float) -> Iterator[None]:
        """Be the only one who starts or removes the container of a job.

        Raises `Held` if another does so for longer than ``within`` seconds. A job that
        is not there needs nobody to be kept out.
        """
        lock = None
        with problems(), suppress(FileNotFoundError):
            lock = _lock(self._place(job) or self._open / job, within)
        try:
            yield
        finally:
            if lock is not None:
                os.close(lock)

    def add(self, task: Task) -> None:
        """Write a new order down; call it `alone`."""
        order = Order(
            task=replace(task, files={}),
            since=time.time_ns(),
            duration=task.duration,
            fetching=bool(task.fetch),
        )
        draft = self._open.parent / f".{secrets.token_hex(8)}"
        with problems():
            draft.mkdir(mode=0o700)
            _write(draft / "order.json", order.model_dump_json())
            draft.rename(self._open / order.task.job_id)
            _sync(self._open)

    def has(self, job: str) -> bool:
        """Whether the job has been handed over, and not been dropped."""
        return self._place(job) is not None

    def open(self) -> Mapping[str, Order]:
        """Return the orders of all jobs that are not over, as far as they can be read."""
        with problems():
            jobs = [entry.name for entry in os.scandir(self._open)]
        orders = {job: self.get(job) for job in jobs}
        self._known = {job: known for job, known in self._known.items() if job in orders}
        return {job: order for job, order in orders.items() if order is not None}

    def get(self, job: str) -> Order | None:
        """Return the order of a job that is not over, or None."""
        file = self._open / job / "order.json"
        with problems(), suppress(FileNotFoundError):
            stamp = file.stat().st_mtime_ns, file.stat().st_ino
            known = self._known.get(job)
            if known is None or known[0] != stamp:
                known = self._known[job] = stamp, _order(file)
            return known[1]
        return None

    def change(self, job: str, **changes: object) -> bool:
        """Write down what is new of a job; False if it is over."""
        with self.alone():
            return self._change(job, changes)

    def ask_to_stop(self, job: str, why: str) -> bool:
        """Write down that a job is to end; False if it is over, or that was asked before."""
        with self.alone():
            order = self.get(job)
            changes = {"stop": why, "stop_at": time.time()}
            return order is not None and not order.stop and self._change(job, changes)

    def ask_to_start(self, job: str) -> bool:
        """Write down that a job is being started; False if it must not be any more."""
        with self.alone():
            order = self.get(job)
            may = order is not None and not order.stop
            return may and self._change(job, {"starting": time.time()})

    def _change(self, job: str, changes: Mapping[str, object]) -> bool:
        order = self.get(job)
        if order is None:
            return False
        with problems():
            changed = order.model_copy(update=dict(changes))
            _write(self._open / job / "order.json", changed.model_dump_json())
        return True

    def close(self, job: str, report: Report) -> None:
        """Write down the last word about a job."""
        with self.alone(), problems(), suppress(FileNotFoundError):
            _write(self._open / job / "report.json", json.dumps(_plain(report)))
            (self._open / job).rename(self._over / job)

    def last_word(self, job: str) -> Report | None:
        """Return the last word about a job, or None if it is not over."""
        with problems(), suppress(FileNotFoundError, ValueError, KeyError):
            return _report(json.loads((self._over / job / "report.json").read_bytes()))
        return None

    def drop(self, job: str) -> None:
        """Forget a job."""
        with self.alone(), problems():
            folder = self._place(job)
            if folder is not None:
                shutil.rmtree(folder)

    def last_seen(self) -> float:
        """Return when the engine last answered, to whichever process; note that it just did."""
        with problems():
            before = self._seen.stat().st_mtime if self._seen.exists() else time.time()
            self._seen.touch(mode=0o600)
            return before

    def _place(self, job: str) -> Path | None:
        return next((f for f in (self._open / job, self._over / job) if f.exists()), None)


@contextmanager
def problems() -> Iterator[None]:
    """Turn what goes wrong in the folder of the jobs into `BackendError`."""
    try:
        yield
    except OSError as error:
        raise BackendError(f"the folder of the jobs cannot be used: {error}") from error


def _lock(folder: Path, within: float | None = None) -> int:
    """Return a descriptor that holds the lock of a folder, as soon as nobody else does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if within is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        else:
            _wait_for_lock(descriptor, folder.name, time.monotonic() + within)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _wait_for_lock(descriptor: int, job: str, deadline: float) -> None:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() > deadline:
            raise Held(f"job {job} is just being started or removed")
        time.sleep(_PAUSE)


def _order(file: Path) -> Order | None:
    try:
        return Order.model_validate_json(file.read_bytes())
    except ValueError:
        _log.exception("%s cannot be read; its job is left alone", file)
        return None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _write(path: Path, text: str) -> None:
    """Put a file in place, whole or not at all, also if the machine loses power."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _plain(report: Report) -> Mapping[str, object]:
    return {
        "state": report.state.name,
        "message": report.message,
        "exit_code": report.exit_code,
        "started": report.started and report.started.isoformat(),
        "ended": report.ended and report.ended.isoformat(),
        "transient": report.transient,
        "facts": dict(report.facts),
    }


def _report(plain: Mapping[str, Any]) -> Report:
    moments = {name: plain[name] and datetime.fromisoformat(plain[name]) for name in _MOMENTS}
    return Report(**{**plain, **moments, "state": State[plain["state"]]})
