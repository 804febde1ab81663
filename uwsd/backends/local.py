"""Jobs as processes of this machine, each with a worker of its own that outlives the server.

All that is known of a job is in ``run/`` in its workspace (`uwsd.worker` lists the files), and
one entry in ``.queue-NAME/`` beside the workspaces for as long as it is not over, named so that the
first to come sorts first; NAME is the backend's, since each has slots of its own. What is found
there says how the job is, the first line that fits:

===============================  =========================================================
no ``task.json``                 LOST: nobody has handed it over
no ``start.json``                WAITING for one of the slots
its worker lives                 RUNNING; the exit record is read after the worker has gone
``exit.json``                    what it says, see `records.ENDINGS`; DONE is exit status 0 alone
otherwise                        its processes are ended, and an exit record says so: CANCELLED
                                 if that was asked, else LOST
===============================  =========================================================
"""

import fcntl
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, Field

from uwsd.backends.base import (
    Backend,
    BackendError,
    Handle,
    Progress,
    Report,
    State,
    Task,
    TaskRefused,
)
from uwsd.backends.line import in_line
from uwsd.backends.progress import read_progress
from uwsd.backends.records import ended, moment, order
from uwsd.backends.workspace import FOLDER_NAME, check, lay_out
from uwsd.worker.aftermath import bury
from uwsd.worker.launch import launch
from uwsd.worker.processes import NOBODY, open_process
from uwsd.worker.records import Records, Start

_PATIENCE = 5.0  #: seconds for a killed process to be gone


class Options(BaseModel, extra="forbid"):
    """What an administrator can choose about the local backend."""

    slots: int = Field(
        default_factory=lambda: max(8, 2 * (os.cpu_count() or 1)),
        ge=1,
        description="How many jobs run at one time; the others wait. Default: two for each"
        " processor, and at least 8.",
    )
    grace: float = Field(
        default=5.0,
        ge=0,
        description="Seconds between asking the processes of a job to end and killing them.",
    )


def create(name: str, options: Options, root: Path) -> "LocalBackend":
    """Make the backend that the configuration calls ``name``; job workspaces are in ``root``."""
    return LocalBackend(root, name=name, slots=options.slots, grace=options.grace)


class LocalBackend(Backend):
    """A backend for one machine. A handle is the job's id."""

    def __init__(
        self,
        root: Path,
        *,
        name: str = "local",
        slots: int,
        python: Path = Path(sys.executable),
        grace: float = 5.0,
    ) -> None:
        self._root = root.absolute()
        self._queue = self._root / f".queue-{quote(name, safe='')}"
        self._queue.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._slots = slots
        self._python = python.absolute()
        self._grace = grace
        self._workers: dict[str, int] = {}  # a pidfd for each job's worker that is known to live
        self._trouble: str | None = None

    def submit(self, task: Task) -> Handle:
        """Hand the task over; its job starts now, or when `poll` finds a slot free."""
        check(task)
        if task.gpus:
            raise TaskRefused("no GPUs are given to jobs here")
        job = self._job(task.job_id)
        with self._alone():
            if not job.task_file.exists():
                self._write_down(task, job)
            if not job.start():
                self._entry(job).touch()
            self._start_waiting()
        return Handle(task.job_id)

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Start what can be started, then report on every handle asked about."""
        with self._alone():
            line = {name: place for place, name in enumerate(self._start_waiting())}
            return {h: self._report(self._job(h), line.get(h, 0)) for h in handles}

    def cancel(self, handle: Handle) -> None:
        """Ask the job's worker to end it, in its time of grace."""
        with self._alone():
            self._stop(self._job(handle), signal.SIGTERM)

    def release(self, handle: Handle) -> None:
        """Kill the job if it runs, and remove its ``run/``; waits until it is gone."""
        job = self._job(handle)
        with self._alone():
            if not job.task_file.exists():
                return
            self._stop(job, signal.SIGQUIT)
            worker = self._worker(job)
            if worker is not None and not _has_ended(worker, within=_PATIENCE):
                raise BackendError(f"job {handle} is still being stopped")
            if not self._report(job).state.is_over:
                raise BackendError(f"what job {handle} has left behind is still being stopped")
            self._entry(job).unlink(missing_ok=True)
            job.task_file.unlink()
            shutil.rmtree(job.folder)

    def find(self, job_id: str) -> Handle | None:
        """Return the id itself, if the task was written down."""
        return Handle(job_id) if self._job(job_id).task_file.exists() else None

    def amend(self, handle: Handle, duration: int) -> None:
        """Let the job run for ``duration`` seconds in all (0: no limit), from now on."""
        job = self._job(handle)
        with self._alone():
            if job.task_file.exists():
                job.write_duration(duration)
                self._tell(job, signal.SIGHUP)

    def progress(self, handle: Handle) -> Progress | None:
        """Read the job's own file."""
        return read_progress(self._job(handle).workspace)

    def wakeups(self) -> Collection[int]:
        """Return a pidfd of each running worker that this instance has met."""
        return tuple(self._workers.values())

    def check(self) -> str | None:
        """Say why the last worker could not be started, if so."""
        return self._trouble

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other instance out for a moment, also those of other processes."""
        try:
            folder = os.open(self._queue, os.O_RDONLY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield
            finally:
                os.close(folder)
        except OSError as error:
            raise BackendError(f"the folder of the jobs cannot be used: {error}") from error

    def _job(self, job_id: str) -> Records:
        # What cannot be a job's name leads to a place where none can be.
        return Records(self._root / (job_id if FOLDER_NAME.fullmatch(job_id) else ".nobody"))

    def _entry(self, job: Records) -> Path:
        return self._queue / f"{job.task_file.stat().st_mtime_ns:020d}.{job.workspace.name}"

    def _write_down(self, task: Task, job: Records) -> None:
        lay_out(task, job.workspace)
        job.folder.mkdir(mode=0o700, exist_ok=True)
        job.write_order(order(task, grace=self._grace))
        # The kernel stamps files by the tick, and within one there may come many jobs.
        os.utime(job.task_file, ns=(time.time_ns(), time.time_ns()))

    def _start_waiting(self) -> Sequence[str]:
        """Start the jobs that came first, as far as there are slots; drop those that are over.

        Return the jobs that still wait, in their order.
        """
        running = 0
        entries = sorted(self._queue.iterdir())
        for place, entry in enumerate(entries):
            job = self._job(_named(entry))
            waits = job.task_file.exists() and not job.start()
            if running >= self._slots or (waits and not self._start(job)):
                return [_named(entry) for entry in entries[place:]]
            if not waits and self._worker(job) is None:
                entry.unlink()
            else:
                running += 1
        return []

    def _start(self, job: Records) -> bool:
        try:
            worker = launch(self._python, job)
        except OSError as error:
            self._trouble = f"no worker can be started: {error}"
            return False
        self._trouble = None
        if worker is not None:
            self._workers[job.workspace.name] = worker
        return True

    def _worker(self, job: Records) -> int | None:
        """Return a pidfd of the job's worker, or None if it does not live."""
        name = job.workspace.name
        if name not in self._workers:
            start = job.start()
            opened = open_process(start.worker) if start else None
            if opened is None:
                return None
            self._workers[name] = opened
        if not _has_ended(self._workers[name]):
            return self._workers[name]
        ended = self._workers.pop(name)
        with suppress(ChildProcessError):  # it was started by a server that is gone
            os.waitid(os.P_PIDFD, ended, os.WEXITED | os.WNOHANG)
        os.close(ended)
        return None

    def _tell(self, job: Records, number: signal.Signals) -> None:
        worker = self._worker(job)
        if worker is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(worker, number)

    def _stop(self, job: Records, number: signal.Signals) -> None:
        """Tell the job's worker to end it, or make sure that it never gets one."""
        if job.task_file.exists() and not job.exit():
            job.cancel_file.touch(0o600)
            if job.claim(NOBODY):
                self._entry(job).unlink(missing_ok=True)
            else:
                self._tell(job, number)

    def _report(self, job: Records, before: int = 0) -> Report:
        if not job.task_file.exists():
            return Report(state=State.LOST, message="there is no such job")
        start = job.start()
        if start is None:
            return Report(
                state=State.WAITING, message=self._trouble or in_line(before, self._slots)
            )
        return replace(self._report_started(job, start), facts=_facts(start))

    def _report_started(self, job: Records, start: Start) -> Report:
        if self._worker(job) is not None:
            progress = read_progress(job.workspace)
            return Report(state=State.RUNNING, started=moment(start.at), progress=progress)
        ending = job.exit() or bury(job, start)
        if ending is None:
            message = "its worker is gone, and its processes are being ended"
            return Report(state=State.UNKNOWN, message=message)
        return ended(ending)


def _has_ended(process: int, *, within: float = 0) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(within * 1000))


def _named(entry: Path) -> str:
    return entry.name.partition(".")[2]


def _facts(start: Start) -> Mapping[str, str]:
    return {"host": os.uname().nodename, "process": f"{start.worker.pid}"}
