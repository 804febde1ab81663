"""A job and its parts, as values (UWS 1.1 section 2.1). A change is a new value."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self

from uwsd.uws.phase import Event, Phase, after

MAIN = "result"
"""The id of the main result: clients look for ``results/result`` (DALI 1.2 section 5.1)."""

LOGS = ("stdout", "stderr")
"""What every job writes while it runs; each is a result of its own."""


class Source(StrEnum):
    """Where the content of a parameter is."""

    INLINE = "inline"  #: it is the value itself
    STORED = "stored"  #: the client sent it; a file in the job's workspace holds it
    REMOTE = "remote"  #: the value is a URL that the job's worker fetches


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a job, as the client gave it (2.1.11)."""

    name: str
    value: str  #: the text; for a stored one the client's file name, which is metadata only
    source: Source = Source.INLINE
    media_type: str = "text/plain"
    path: str | None = None  #: of a stored one, relative to the job's workspace
    size: int | None = None  #: of a stored one, in bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Something the job made (2.1.10)."""

    id: str
    path: str  #: relative to the job's workspace
    media_type: str
    size: int | None = None  #: in bytes; None while it may still grow


class ErrorType(StrEnum):
    """Whether trying again may help (the schema's ErrorSummary)."""

    TRANSIENT = "transient"
    FATAL = "fatal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSummary:
    """Why a job failed, for people (2.1.7)."""

    message: str
    type: ErrorType = ErrorType.FATAL


PASSING = frozenset({"message", "progress", "activity"})
"""What jobInfo tells only until a job is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was at one moment; ``version`` grows with every change of it."""

    id: str
    service: str
    created: datetime
    owner: str | None = None
    run_id: str | None = None
    phase: Phase = Phase.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    quote: datetime | None = None
    duration: int = 0  #: seconds; 0: unlimited (2.1.4)
    destruction: datetime | None = None
    parameters: tuple[Parameter, ...] = ()
    results: tuple[Result, ...] = ()
    error: ErrorSummary | None = None
    info: dict[str, str] = field(default_factory=dict)  #: what jobInfo tells, by element name
    version: int = 0

    def on(self, event: Event, *, at: datetime) -> Self:
        """Return this job as it is after ``event``, its times kept in step."""
        phase = after(self.phase, event)
        started = at if phase is Phase.EXECUTING and not self.started else self.started
        started = None if phase is Phase.QUEUED else started  # what was requeued starts anew
        ended = at if phase.is_over and not self.ended else self.ended
        info = {n: t for n, t in self.info.items() if not (phase.is_over and n in PASSING)}
        return replace(self, phase=phase, started=started, ended=ended, info=info)

    def differs_from(self, other: Self) -> bool:
        """Whether more is different than what jobInfo tells."""
        return self != replace(other, info=self.info, version=self.version)

    @property
    def deadline(self) -> datetime | None:
        """When it will have run for as long as it may (2.1.4), or None."""
        if not self.duration or self.started is None or self.phase.is_over:
            return None
        return self.started + timedelta(seconds=self.duration)

    def parameter(self, name: str) -> Parameter | None:
        """Return the first parameter of that name, in any case (DALI 1.2 section 4.1)."""
        return next((p for p in self.parameters if p.name.upper() == name.upper()), None)

    def result(self, result_id: str) -> Result | None:
        """Return the result of exactly that id."""
        return next((r for r in self.results if r.id == result_id), None)


class JobRef(NamedTuple):
    """A job as the list shows it (2.2.2.1); there may be very many of them."""

    id: str
    phase: Phase
    run_id: str | None
    owner: str | None
    created: datetime
