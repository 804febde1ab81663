"""Jobs on a Slurm cluster, each with a worker of uwsd's own on its node.

A job is handed over in steps, and a server may be killed between any two of them: its order is
written down, Slurm takes it and holds it, its id is written down, it is released. What is found
held is released; what may have been taken is looked up by its name. A controller that is killed
forgets its last seconds: what it had taken is handed over again, what it had released is
released again. Should Slurm have a job twice, it starts once all the same: its worker makes a
claim that only one can make.
"""

import logging
import shutil
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

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
from uwsd.backends.names import key
from uwsd.backends.progress import read_progress
from uwsd.backends.records import ended, order
from uwsd.backends.slurm.accounts import account_of, share
from uwsd.backends.slurm.cluster import Cluster
from uwsd.backends.slurm.commands import Commands
from uwsd.backends.slurm.follower import Follower
from uwsd.backends.slurm.notes import Locks, Note, SlurmJob
from uwsd.backends.slurm.options import Options
from uwsd.backends.slurm.script import arguments, install_worker, minutes, script, wrapped
from uwsd.backends.slurm.states import meaning
from uwsd.backends.slurm.tracked import Tracked
from uwsd.backends.workspace import FOLDER_NAME, check, lay_out

_PATIENCE = 3.0  #: seconds for a killed job to be gone
_PAUSE = 0.02
_CALL = 10.0  #: seconds between two calls of the controller
_SWEEP = 60.0  #: seconds between two looks for jobs that only Slurm knows
_ADVICE = 3600.0  #: seconds between two looks at its configuration

_ANY = "a"
_log = logging.getLogger(__name__)


class SlurmBackend(Backend):
    """A backend for one cluster. A handle is the job's id."""

    def __init__(self, root: Path, *, name: str, options: Options) -> None:
        self._root = root.absolute()
        self._options = options
        self._locks = Locks(self._root / f".slurm-{quote(name, safe='')}")
        if options.run_as:
            # Others must get to their own jobs' folders, whose names nobody can guess.
            self._root.chmod(0o711)
        self._worker = install_worker(self._root)
        self._cluster = Cluster(Commands(options), options)
        self._follower = Follower(self._cluster, options, self._submit)
        self._trouble: str | None = None
        self._call = self._advise = self._sweep = 0.0

    def submit(self, task: Task) -> Handle:
        """Have Slurm take the job, write down what it calls it, and let it start."""
        check(task)
        account = account_of(task, self._options.run_as)
        job = self._job(task.job_id)
        with self._locks.hold(task.job_id) as lock:
            note = job.note()
            if note is None or not note.id:
                self._hand_over(task, job, note, account, lock)
        return Handle(task.job_id)

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Report on every handle asked about, with one question to squeue now and then."""
        tracked = {handle: job for handle in handles if (job := self._track(handle))}
        reports = self._follower.reports(tracked)
        return {h: reports[h] if h in reports else self._untracked(h) for h in handles}

    def cancel(self, handle: Handle) -> None:
        """Ask the job's worker to end it, or keep it from ever starting."""
        job = self._job(handle)
        with self._locks.hold(handle):
            if not job.task_file.exists() or self._is_over(handle, job):
                return
            job.mark_cancelled()
            tracked = self._track(handle)
            if job.forbid():
                self._end_all(job, tracked)
                job.close("cancel")
            elif tracked is not None:
                self._follower.press(tracked)

    def release(self, handle: Handle) -> None:
        """Kill the job if it runs, and remove its ``run/``; waits a little until it is gone."""
        job = self._job(handle)
        with self._locks.hold(handle):
            if not job.task_file.exists():
                return
            if not self._is_over(handle, job):
                self._kill(handle, job)
            job.task_file.unlink()
            # A worker on its way out may still write there; what it leaves goes with the workspace.
            shutil.rmtree(job.folder, ignore_errors=True)
            self._follower.forget(handle)

    def find(self, job_id: str) -> Handle | None:
        """Return the id itself, if the task was written down."""
        return Handle(job_id) if self._job(job_id).task_file.exists() else None

    def amend(self, handle: Handle, duration: int) -> None:
        """Let the job run for ``duration`` seconds in all; its worker reads it within 10 s."""
        tracked = self._track(handle)
        if tracked is None or tracked.note.duration == duration:
            return
        tracked.job.write_duration(duration)
        limit = minutes(self._options, duration) if duration else 0
        self._cluster.limit(tracked.note, limit)
        tracked.note = tracked.note._replace(duration=duration)
        tracked.job.write_note(tracked.note)

    def progress(self, handle: Handle) -> Progress | None:
        """Read the job's own file."""
        return read_progress(self._job(handle).workspace)

    def wakeups(self) -> Collection[int]:
        """Return what is readable when the record of a job has come that was waited for."""
        self._follower.lookout.start()
        return (self._follower.lookout.descriptor,)

    def check(self) -> str | None:
        """Say why no controller answers, as it was some seconds ago at the most."""
        now = time.monotonic()
        if now >= self._call:
            self._trouble = self._cluster.trouble()
            self._call = now + _CALL
        if self._trouble is None and now >= self._advise:
            self._advise = now + _ADVICE
            self._warn()
        if self._trouble is None and now >= self._sweep:
            self._sweep = now + _SWEEP
            self._end_strays()
        return self._trouble

    def _job(self, job_id: str) -> SlurmJob:
        # What cannot be a job's name leads to a place where none can be.
        return SlurmJob(self._root / (job_id if FOLDER_NAME.fullmatch(job_id) else ".nobody"))

    def _track(self, handle: Handle) -> Tracked | None:
        """Return what is remembered of a job, or what is on file of one that Slurm has taken."""
        tracked = self._follower.get(handle)
        if tracked is not None:
            return tracked
        job = self._job(handle)
        note = job.note()
        if note is None or not note.id:
            return None
        return self._follower.remember(handle, Tracked(job, note, self._options))

    def _untracked(self, handle: Handle) -> Report:
        job = self._job(handle)
        if not job.task_file.exists():
            return Report(state=State.LOST, message="there is no such job")
        ending = job.exit()
        waits = Report(state=State.WAITING, message="it is being handed over")
        return ended(ending) if ending else waits

    def _hand_over(
        self, task: Task, job: SlurmJob, note: Note | None, account: str, lock: int
    ) -> None:
        """Have Slurm take a job, unless it has: ``note`` says that it was asked before."""
        id_ = self._found(job, note) if note else None
        note = note or self._write_down(task, job, account)
        try:
            note = note._replace(id=self._submit(job, note, lock) if id_ is None else id_)
        except TaskRefused:
            shutil.rmtree(job.folder)
            raise
        job.write_note(note)
        if note.id:
            self._follower.meet(Handle(task.job_id), Tracked(job, note, self._options))

    def _found(self, job: SlurmJob, note: Note) -> str | None:
        """Return the id of a job that Slurm may have taken; empty if it must not any more."""
        start = job.start()
        if start is not None:  # it has begun, or was cancelled
            return start.where.get("slurm", "")
        ids = self._cluster.look_up(note.key, note.account, job.task_file.stat().st_mtime)
        return ids[0] if ids else None

    def _submit(self, job: SlurmJob, note: Note, *locks: int) -> str:
        """Have Slurm take a job as it is written down; return what it calls it."""
        text = script(self._options, self._worker, job.workspace)
        return self._cluster.submit(note.words, text, note.account, keep=locks)

    def _write_down(self, task: Task, job: SlurmJob, account: str) -> Note:
        lay_out(task, job.workspace)
        job.folder.mkdir(mode=0o700, exist_ok=True)
        if account:
            share(job.workspace, account)
        command, environment = wrapped(self._options, task, job.workspace)
        job.write_order(
            order(task, grace=self._options.grace)._replace(
                command=command,
                environment=environment,
                memory=0,  # Slurm's to limit
                remote=True,
                shared=bool(account),
                inherit=self._options.inherit,
            )
        )
        name = key(self._root, task.job_id)
        words = arguments(self._options, task, name)
        note = Note(id="", key=name, account=account, duration=task.duration, words=words)
        job.write_note(note)
        return note

    def _is_over(self, handle: Handle, job: SlurmJob) -> bool:
        tracked = self._follower.get(handle)
        if tracked is not None and tracked.is_over:
            return True
        _, restart = job.last_start()
        is_latest = tracked is None or restart >= tracked.restarts
        return is_latest and job.exit() is not None

    def _end_all(self, job: SlurmJob, tracked: Tracked | None) -> None:
        """End all that Slurm has under the job's name."""
        note = tracked.note if tracked else job.note()
        if note is not None:
            self._cluster.cancel(note)

    def _kill(self, handle: Handle, job: SlurmJob) -> None:
        """End a job at once; raise `BackendError` if it is still there after a moment."""
        job.mark_cancelled()
        tracked = self._track(handle)
        if not job.forbid() and tracked is not None:
            self._cluster.signal(tracked.note, "QUIT")
            if self._has_left(job, tracked):
                return
        self._end_all(job, tracked)
        if tracked is not None and self._still_there(tracked.note):
            tracked.stopping = time.monotonic()
            raise BackendError(f"job {handle} is still being stopped")

    def _has_left(self, job: SlurmJob, tracked: Tracked) -> bool:
        """Wait for the record of a worker that was told to end; not again, if it did not come."""
        deadline = time.monotonic() + (_PATIENCE if tracked.stopping is None else 0)
        while job.exit() is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def _still_there(self, note: Note) -> bool:
        listed = self._cluster.named([note.key], note.account)
        return any(not meaning(job.state).state.is_over for job in listed)

    def _end_strays(self) -> None:
        """End what Slurm has of jobs that are forgotten here.

        A controller that was killed before it had written down their end brings them back, held.
        """
        ours = key(self._root, _ANY).removesuffix(_ANY)
        with suppress(BackendError):
            for listed in self._cluster.queue([""]):
                name = listed.name.removeprefix(ours)
                if name in ("", listed.name) or meaning(listed.state).state.is_over:
                    continue
                if key(self._root, name) == listed.name and not self._job(name).folder.exists():
                    _log.warning("job %s of Slurm is cancelled: nobody knows it", listed.id)
                    self._cluster.cancel_one(listed.id, Note(listed.id, listed.name, "", 0, []))

    def _warn(self) -> None:
        """Tell the log of settings that make it hard to follow jobs."""
        with suppress(BackendError):
            settings = self._cluster.settings()
            age = settings.get("MinJobAge", "").partition(" ")[0]
            if age.isdigit() and int(age) < 3 * self._options.poll:
                _log.warning(
                    "Slurm forgets jobs %s s after their end: set MinJobAge to an hour", age
                )
