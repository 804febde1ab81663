"""Which jobs tell of their progress, and when each job's jobInfo was last written down."""

import time
from collections.abc import Callable, Iterable

from uwsd.uws.rows import Execution

PACE = 1.0
"""Seconds between two looks at the jobs that tell of their progress, and between two writes
of what one job says."""


class Watch:
    """The supervisor's memory of these jobs: nothing is lost with it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._telling: dict[str, Execution] = {}
        self._written: dict[str, float] = {}

    @property
    def telling(self) -> Iterable[Execution]:
        """The jobs that may have got on."""
        return tuple(self._telling.values())

    def add(self, execution: Execution) -> None:
        """Look at this job each second."""
        self._telling[execution.job_id] = execution

    def drop(self, job_id: str) -> None:
        """Forget a job that is over, or is to be forgotten."""
        self._telling.pop(job_id, None)
        self._written.pop(job_id, None)

    def may_write(self, job_id: str) -> bool:
        """Whether it is time to write down what a job says; then it is taken as written."""
        now = self._clock()
        if now - self._written.get(job_id, -PACE) < PACE:
            return False
        self._written[job_id] = now
        return True
