"""The jobs that run, what each last said of its progress, and when that was written down."""

import time
from collections.abc import Callable, Collection

from uwsd.backends.base import Progress
from uwsd.uws.rows import Execution

PACE = 1.0
"""Seconds between two looks at the progress of the jobs that run, and between two writes of it."""


class Watch:
    """The supervisor's memory of the jobs that run: it may forget everything."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[str, Execution] = {}
        self._said: dict[str, Progress] = {}
        self._written: dict[str, float] = {}

    @property
    def running(self) -> Collection[Execution]:
        """The jobs that may have got on."""
        return tuple(self._running.values())

    def add(self, execution: Execution) -> None:
        """Look at this job from now on."""
        self._running[execution.job_id] = execution

    def drop(self, job_id: str) -> None:
        """Forget a job that does not run any more."""
        for memory in (self._running, self._said, self._written):
            memory.pop(job_id, None)

    def has_heard(self, job_id: str, progress: Progress) -> bool:
        """Whether the job said this before."""
        return self._said.get(job_id) == progress

    def heard(self, job_id: str, progress: Progress) -> None:
        """Remember what the job has said, now that it is written down."""
        self._said[job_id] = progress

    def may_write(self, job_id: str) -> bool:
        """Whether it is time to write down what a job says; then it is taken as written."""
        now = self._clock()
        if now - self._written.get(job_id, -PACE) < PACE:
            return False
        self._written[job_id] = now
        return True
