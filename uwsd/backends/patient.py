"""A backend that is not asked again and again while nobody answers for its engine."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from uwsd.backends.base import Backend, Handle, Progress, Report, State, Task, Unreachable

_FIRST = 0.5
_LONGEST = 15.0  #: seconds; what waits for the engine goes on at most so long after it is back
_UNKNOWN_AFTER = 600.0  #: seconds of silence, and then nobody can say how the jobs are

_log = logging.getLogger(__name__)


class Patient(Backend):
    """Another backend, left alone for a while whenever it has raised `Unreachable`.

    While it rests, every question is answered by `Unreachable` at once: one engine that is down
    keeps the jobs of others waiting for one time-out now and then, not for one a job.
    """

    def __init__(self, backend: Backend, clock: Callable[[], float] = time.monotonic) -> None:
        self._backend = backend
        self._clock = clock
        self._silent_since: float | None = None
        self._rest = 0.0
        self._again = 0.0
        self._said = ""

    def submit(self, task: Task) -> Handle:
        """Hand the task over."""
        with self._asking():
            return self._backend.submit(task)

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Report on every handle asked about: UNKNOWN when nobody has answered for long."""
        try:
            with self._asking():
                return self._backend.poll(handles)
        except Unreachable as error:
            if self._silence() < _UNKNOWN_AFTER:
                raise
            lost = Report(state=State.UNKNOWN, message=f"its engine does not answer: {error}")
            return dict.fromkeys(handles, lost)

    def cancel(self, handle: Handle) -> None:
        """Ask for the job to stop."""
        with self._asking():
            self._backend.cancel(handle)

    def release(self, handle: Handle) -> None:
        """Forget the job."""
        with self._asking():
            self._backend.release(handle)

    def find(self, job_id: str) -> Handle | None:
        """Return the handle of a job whose submission may have been cut short."""
        with self._asking():
            return self._backend.find(job_id)

    def amend(self, handle: Handle, duration: int) -> None:
        """Let a job run for another time."""
        with self._asking():
            self._backend.amend(handle, duration)

    def progress(self, handle: Handle) -> Progress | None:
        """Return how far a running job says it is."""
        return self._backend.progress(handle)

    def wakeups(self) -> Collection[int]:
        """Return the backend's own."""
        return self._backend.wakeups()

    def check(self) -> str | None:
        """Say why the backend cannot work now; while it rests, what it said last."""
        try:
            with self._asking():
                return self._backend.check()
        except Unreachable as error:
            return str(error)

    def _silence(self) -> float:
        return 0.0 if self._silent_since is None else self._clock() - self._silent_since

    @contextmanager
    def _asking(self) -> Iterator[None]:
        if self._clock() < self._again:
            raise Unreachable(self._said)
        try:
            yield
        except Unreachable as error:
            self._said = str(error)
            if self._silent_since is None:
                self._silent_since = self._clock()
                _log.warning("%s; will try again", error)
            self._rest = min(_LONGEST, 2 * self._rest or _FIRST)
            self._again = self._clock() + self._rest
            raise
        if self._silent_since is not None:
            _log.warning("it answers again, after %d s", self._silence())
        self._silent_since, self._rest = None, 0.0
