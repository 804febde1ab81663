"""A backend that keeps nobody waiting while its engine is slow, or does not answer."""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillAsking
from contextlib import suppress
from typing import Any, TypeVar

from uwsd.backends.base import (
    Backend,
    BackendError,
    Handle,
    Progress,
    Report,
    State,
    Task,
    Unreachable,
)

_SOON = 3.0  #: seconds that the jobs of other engines can bear
_FIRST = 0.5
_LONGEST = 15.0  #: seconds; what waits for the engine goes on at most so long after it is back
_UNKNOWN_AFTER = 600.0  #: seconds of silence, and then nobody can say how the jobs are

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Patient(Backend):
    """Another backend, asked one question at a time, in a thread of its own.

    A question that takes long raises `Unreachable` for the moment and goes on; what a `poll` brings
    so is given to the next one. Whenever the backend itself raises `Unreachable` it is left
    alone for a while, and every question is answered by `Unreachable` at once.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        soon: float = _SOON,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._soon = soon
        self._clock = clock
        self._news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._late: Future[Any] | None = None  # the answer to a question that took long
        self._reports: Mapping[Handle, Report] = {}  # what such an answer was
        self._silent_since: float | None = None
        self._rest = 0.0
        self._again = 0.0
        self._said = ""

    def submit(self, task: Task) -> Handle:
        """Hand the task over."""
        return self._ask(lambda: self._backend.submit(task))

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Report on the handles that it knows something of by now.

        On every one when the engine answers in time; UNKNOWN when nobody has answered for long.
        """
        with suppress(BlockingIOError):
            os.eventfd_read(self._news)
        self._settle()
        if self._reports:
            reports, self._reports = self._reports, {}
            return {handle: reports[handle] for handle in handles if handle in reports}
        try:
            return self._ask(lambda: self._backend.poll(handles))
        except Unreachable as error:
            if self._silence() < _UNKNOWN_AFTER:
                raise
            lost = Report(state=State.UNKNOWN, message=f"its engine does not answer: {error}")
            return dict.fromkeys(handles, lost)

    def cancel(self, handle: Handle) -> None:
        """Ask for the job to stop."""
        self._ask(lambda: self._backend.cancel(handle))

    def release(self, handle: Handle) -> None:
        """Forget the job."""
        self._ask(lambda: self._backend.release(handle))

    def find(self, job_id: str) -> Handle | None:
        """Return the handle of a job whose submission may have been cut short."""
        return self._ask(lambda: self._backend.find(job_id))

    def amend(self, handle: Handle, duration: int) -> None:
        """Let a job run for another time."""
        self._ask(lambda: self._backend.amend(handle, duration))

    def progress(self, handle: Handle) -> Progress | None:
        """Return how far a running job says it is; nothing while the backend is busy."""
        return None if self._is_busy() else self._backend.progress(handle)

    def wakeups(self) -> Collection[int]:
        """Return the backend's own, and one that tells of an answer that came late."""
        own = () if self._is_busy() else self._backend.wakeups()
        return (*own, self._news)

    def check(self) -> str | None:
        """Say why the backend cannot work now; while it does not answer, what it said last."""
        try:
            return self._ask(self._backend.check)
        except Unreachable as error:
            return str(error)

    def _ask(self, question: Callable[[], _T]) -> _T:
        self._settle()
        if self._is_busy():
            raise Unreachable(self._said)
        if self._clock() < self._again:
            raise Unreachable(self._said)
        answer: Future[_T] = Future()
        threading.Thread(target=self._find_out, args=(question, answer), daemon=True).start()
        try:
            answer.exception(self._soon)
        except StillAsking:
            self._late = answer
            raise self._silent("it takes long to answer") from None
        return self._heard(answer)

    def _find_out(self, question: Callable[[], _T], answer: Future[_T]) -> None:
        try:
            answer.set_result(question())
        except BaseException as error:  # noqa: BLE001 - whoever has asked will raise it
            answer.set_exception(error)
        if answer is self._late:
            os.eventfd_write(self._news, 1)

    def _is_busy(self) -> bool:
        return self._late is not None and not self._late.done()

    def _settle(self) -> None:
        """Take notice of an answer that has come late."""
        if self._late is None or self._is_busy():
            return
        answer, self._late = self._late, None
        with suppress(BackendError):  # one that does not mean silence comes again with the question
            said = self._heard(answer)
            self._reports = said if isinstance(said, Mapping) else {}

    def _heard(self, answer: Future[_T]) -> _T:
        error = answer.exception()
        if isinstance(error, Unreachable):
            self._rest = min(_LONGEST, 2 * self._rest or _FIRST)
            self._again = self._clock() + self._rest
            raise self._silent(str(error))
        if self._silent_since is not None:
            _log.warning("it answers again, after %d s", self._silence())
        self._silent_since, self._rest = None, 0.0
        return answer.result()

    def _silent(self, said: str) -> Unreachable:
        if self._silent_since is None:
            self._silent_since = self._clock()
            _log.warning("%s; will try again", said)
        self._said = said
        return Unreachable(said)

    def _silence(self) -> float:
        return 0.0 if self._silent_since is None else self._clock() - self._silent_since
