"""What the standard leaves to a service: its limits and how it reads its parameters.

`uws` knows a service only through `JobList`; `capabilities` fills the socket.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from uwsd.uws.job import LOGS, MAIN, Job, Parameter, Result

MAX_DURATION = 2**31 - 1
"""The largest executionDuration that the schema's xs:int holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long the jobs of a list may run and stay, and how much they may bring. Seconds, bytes."""

    default_duration: int = 3600
    max_duration: int = 86400  #: 0: unlimited
    default_destruction: int = 7 * 86400
    max_destruction: int = 30 * 86400  #: 0: unlimited
    max_upload: int = 100 * 1024**2

    def duration(self, asked: int) -> int:
        """Return the duration that a job gets which asks for ``asked`` (2.1.4; 0: unlimited)."""
        longest = self.max_duration or MAX_DURATION
        if asked == 0:
            return self.max_duration
        return min(asked, longest)

    def destruction(self, asked: datetime, *, at: datetime) -> datetime:
        """Return the destruction time a job gets at ``at`` which asks for ``asked`` (2.1.5).

        A time in the past becomes a few seconds from now, so that the redirect after the
        request still finds the job.
        """
        soonest = at + timedelta(seconds=_GRACE)
        if self.max_destruction:
            asked = min(asked, at + timedelta(seconds=self.max_destruction))
        return max(asked, soonest)


_GRACE = 3


class JobList(ABC):
    """One job list: what it lets its clients do."""

    name: str  #: the first segment of its URLs
    limits: Limits

    @abstractmethod
    def check(self, parameters: Sequence[Parameter]) -> tuple[str, ...]:
        """Check what a client gave; return the names that the service does not know.

        Unknown ones are kept with the job and otherwise ignored. Raises
        `uwsd.uws.errors.BadRequest`, which names the parameter and what it takes.
        """

    @abstractmethod
    def missing(self, job: Job) -> tuple[str, ...]:
        """Return the names of the parameters without which the job cannot run."""

    @abstractmethod
    def takes_file(self, name: str) -> bool:
        """Whether the parameter of that name, in any case, may be a file."""

    def main_result(self, job: Job) -> Result | None:
        """Return the result that answers a synchronous request (DALI 1.2 section 2.2), if any.

        The one that is called ``result``; else the first that is no log; else what was printed.
        """
        own = (result for result in job.results if result.id not in LOGS)
        return job.result(MAIN) or next(own, None) or job.result("stdout")
