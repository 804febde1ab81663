"""Follows jobs: one question to squeue for all of them, and what their records tell meanwhile."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress

from uwsd.backends.base import BackendError, Handle, Report, State
from uwsd.backends.slurm.cluster import Cluster
from uwsd.backends.slurm.listing import Listed, Queue
from uwsd.backends.slurm.lookout import Lookout
from uwsd.backends.slurm.notes import Note, SlurmJob
from uwsd.backends.slurm.options import Options
from uwsd.backends.slurm.states import meaning
from uwsd.backends.slurm.tracked import Step, Tracked

_SHARE = 10  #: how much longer than an answer of squeue the pause before the next is
_SOON = 0.5  #: seconds between two questions while the end of a job is still to be told
_AGAIN = 10.0  #: seconds after its time of grace, until a job's end is asked for again

_WITHOUT_WORKER = (State.WAITING, State.HELD, State.SUSPENDED)
"""States of jobs in which nobody is there to be told."""

_log = logging.getLogger(__name__)


class Follower:
    """What is remembered of the jobs that are asked about; it may forget everything."""

    def __init__(
        self, cluster: Cluster, options: Options, submit: Callable[[SlurmJob, Note], str]
    ) -> None:
        """Follow jobs on a cluster; ``submit`` hands over again what it has lost."""
        self.lookout = Lookout()
        self._submit = submit
        self._cluster = cluster
        self._options = options
        self._jobs: dict[Handle, Tracked] = {}
        self._queue: Queue | None = None
        self._books: Mapping[str, Listed] | None = {}
        self._took = 0.0

    def get(self, handle: Handle) -> Tracked | None:
        """Return what is remembered of a job."""
        return self._jobs.get(handle)

    def meet(self, handle: Handle, job: Tracked) -> None:
        """Remember a job that Slurm has just taken, and let it start."""
        job.alive = time.monotonic()
        self.remember(handle, job)
        with suppress(BackendError):  # it will be found held
            self._cluster.release(job.note)

    def remember(self, handle: Handle, job: Tracked) -> Tracked:
        """Remember a job until the next reports are asked for."""
        self._jobs[handle] = job
        return job

    def forget(self, handle: Handle) -> None:
        """Remember a job no more."""
        self._jobs.pop(handle, None)

    def reports(self, jobs: dict[Handle, Tracked]) -> dict[Handle, Report]:
        """Report on these jobs, and on no others from now on. Raises `BackendError`."""
        rung = self.lookout.found()
        self._jobs = jobs
        is_new = self._ask(jobs.values())
        for handle, job in jobs.items():
            if is_new or handle in rung or job.report is None:
                self._look(handle, job, rung=handle in rung)
        self.lookout.is_restless = any(job.is_open for job in jobs.values())
        self.lookout.expect(
            {h: j.expected for h, j in jobs.items() if j.expected and not j.is_over}
        )
        return {handle: job.report for handle, job in jobs.items() if job.report}

    def press(self, job: Tracked) -> None:
        """Ask for the end of a job: kindly, and after its time of grace by force."""
        now = time.monotonic()
        if job.stopping is None:
            # Its worker alone is told, and sees to the others.
            self._stop(job)
        elif now - job.stopping > self._options.grace + _AGAIN:
            self._cluster.cancel(job.note)
        else:
            return
        job.stopping = now

    def _stop(self, job: Tracked) -> None:
        if job.report is not None and job.report.state in _WITHOUT_WORKER:
            self._cluster.cancel(job.note)
        else:
            self._cluster.signal(job.note, "TERM")

    def _ask(self, jobs: Collection[Tracked]) -> bool:
        """Ask squeue, if it is time to, and others about jobs that it does not know."""
        if not jobs or not self._is_time(jobs):
            return False
        queue = self._cluster.queue({job.note.account for job in jobs})
        self._queue, self._books = queue, {}
        missing: dict[str, list[Tracked]] = defaultdict(list)
        for job in jobs:
            if queue.find(job.note.id, job.note.key) is None and job.since <= queue.asked:
                missing[job.note.account].append(job)
        for account, some in missing.items():
            self._ask_about(some, account)
        self._took = time.monotonic() - queue.asked
        return True

    def _is_time(self, jobs: Iterable[Tracked]) -> bool:
        if self._queue is None:
            return True
        pause = _SOON if any(job.is_open for job in jobs) else self._options.poll
        return time.monotonic() - self._queue.asked >= max(
            min(pause, self._options.poll), _SHARE * self._took
        )

    def _ask_about(self, missing: list[Tracked], account: str) -> None:
        """Look for jobs that are not listed as those that run them see it, and in the accounts."""
        assert self._queue is not None
        if account:  # a cluster may show nobody but its owner a job
            self._queue.add(self._cluster.named({job.note.key for job in missing}, account))
            missing = [j for j in missing if not self._queue.find(j.note.id, j.note.key)]
        ended = self._cluster.books({job.note.id for job in missing}, account) if missing else {}
        self._books = None if self._books is None or ended is None else {**self._books, **ended}

    def _look(self, handle: Handle, job: Tracked, *, rung: bool) -> None:
        assert self._queue is not None
        try:
            job.look(self._queue, self._books, rung=rung)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError) as error:
            # Its own account may have written anything there; the others go on.
            _log.warning("the records of job %s cannot be read: %s", handle, error)
            message = "its records cannot be read"
            job.report = Report(state=State.UNKNOWN, message=message)
            return
        with suppress(BackendError):  # it is the same again at the next question
            self._see_to(job)

    def _see_to(self, job: Tracked) -> None:
        assert self._queue is not None
        for other in self._others(job, self._queue):
            _log.warning("job %s of Slurm is cancelled: %s has its work", other, job.note.id)
            self._cluster.cancel_one(other, job.note)
        if job.step is Step.RELEASE:
            self._cluster.release(job.note)
        elif job.step is Step.SETTLE:
            job.settle(job.note._replace(settled=True))
        elif job.step is Step.SUBMIT:
            job.settle(job.note._replace(id=self._submit(job.job, job.note)))
            self._cluster.release(job.note)
        elif job.step is Step.CANCEL:
            self._cluster.cancel(job.note)
        elif job.stopping is not None and not job.is_over:
            self.press(job)

    def _others(self, job: Tracked, queue: Queue) -> Iterator[str]:
        """Find what Slurm has under the job's name beside it, as after an answer that was lost."""
        for other in queue.called(job.note.key):
            if other.id != job.note.id and not meaning(other.state).state.is_over:
                yield other.id
