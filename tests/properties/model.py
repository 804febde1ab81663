"""What UWS 1.1 and DALI 1.2 say that becomes of a job, one job and one request at a time.

It is written from the standards, from docs/standards.md where they leave a choice, and from the
documented limits; not from the server. Where the server goes on by itself while nobody looks, a
job may be in several phases, and a request may have several outcomes.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

OVER = {"COMPLETED", "ERROR", "ABORTED"}
PHASES = {"PENDING", "QUEUED", "EXECUTING", *OVER, "HELD", "SUSPENDED", "UNKNOWN", "ARCHIVED"}
LONGEST = 86400
REQUIRED = {"demo": set[str](), "checksum": {"FILE"}}

Outcome = dict[int, set[str]]
"""The phases that the job may be in afterwards, by the status of the answer."""


@dataclass
class Job:
    """A job, as somebody knows it who has only read the standards."""

    service: str
    url: str = ""
    created: str = ""  #: as it was printed
    run_id: str | None = None
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)  #: name and value by NAME
    duration: int = 3600
    destruction: tuple[datetime, datetime] = field(default_factory=lambda: _about(days=7))
    phases: set[str] = field(default_factory=lambda: {"PENDING"})

    @property
    def id(self) -> str:
        """The last segment of its URL."""
        return self.url.rpartition("/")[2]

    @property
    def end(self) -> str | None:
        """What it will have come to a moment after RUN, or None for a job that takes long."""
        if self.service != "demo":
            return "COMPLETED"
        value = {name: value for name, (_, value) in self.parameters.items()}
        if value.get("SECONDS") == "60":
            return None
        return "COMPLETED" if value.get("EXIT", "") in ("", "0") else "ERROR"

    def give(self, fields: dict[str, str]) -> None:
        """Take parameters; of each name, in any case, there is one (DALI 4.1, 2.1)."""
        for name, value in fields.items():
            if name.upper() == "RUNID":
                self.run_id = value or None  # 2.1.9: exactly as given
            else:
                self.parameters[name.upper()] = name, value

    def run(self) -> Outcome:
        """2.2.3.5, 2.1.3: only a PENDING job can be committed."""
        if self.phases != {"PENDING"} or not REQUIRED[self.service] <= self.parameters.keys():
            return {403: self.phases}
        return {303: {"QUEUED", "EXECUTING"} | ({self.end} if self.end else set())}

    def abort(self) -> Outcome:
        """2.2.3.6: at any time before the end; then it is ABORTED at once."""
        return self._before_the_end({"ABORTED"})

    def set_duration(self) -> Outcome:
        """2.1.4: the time can be changed as long as some may be left."""
        return self._before_the_end(self.phases)

    def set_parameters(self) -> Outcome:
        """2.1.11, DALI 2.1: only while PENDING."""
        return {303 if self.phases == {"PENDING"} else 403: self.phases}

    def put(self, name: str) -> Outcome:
        """2.1.11: an update makes nothing new."""
        known = self.phases != {"PENDING"} or name.upper() in self.parameters
        return self.set_parameters() if known else {404: self.phases}

    def saw(self, phase: str) -> None:
        """Somebody has seen the job in ``phase``: there is no way back from it (2.1.3)."""
        assert phase in self.phases, f"{phase}, not one of {self.phases}"
        way = ["PENDING", "QUEUED", "EXECUTING"]
        before = set(way[: way.index(phase)] if phase in way else way)
        self.phases = {phase} if phase in OVER else self.phases - before

    def _before_the_end(self, then: set[str]) -> Outcome:
        over = self.phases & OVER
        return ({303: then} if self.phases - OVER else {}) | ({403: over} if over else {})


def granted_duration(asked: str) -> int:
    """2.1.4: 0 is unlimited, and a service may have a limit."""
    return min(int(asked) or LONGEST, LONGEST)


def granted_destruction(asked: datetime) -> tuple[datetime, datetime]:
    """2.1.5: when it will be, not before and not after; the limit is 30 days."""
    return (asked, asked) if asked < _about(days=30)[0] else _about(days=30)


def _about(*, days: int) -> tuple[datetime, datetime]:
    at, minute = datetime.now(UTC) + timedelta(days=days), timedelta(minutes=1)
    return at - minute, at + minute
