"""What has been found out, and how good it is."""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How good it is."""

    GOOD = "good"
    WARNING = "warning"  #: jobs run, and yet somebody should know
    BROKEN = "broken"  #: jobs do not run, or not as it is promised


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    mark: Mark
    what: str  #: what was looked at, in one word for programs
    found: str  #: a sentence
    fix: str = ""  #: what to type, or which option to set
    place: str = "installation"  #: or the name of a backend


def good(what: str, found: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(mark=Mark.GOOD, what=what, found=found)


def warning(what: str, found: str, fix: str = "") -> Finding:
    """Return a finding that somebody should know of."""
    return Finding(mark=Mark.WARNING, what=what, found=found, fix=fix)


def broken(what: str, found: str, fix: str = "") -> Finding:
    """Return a finding that has to be mended."""
    return Finding(mark=Mark.BROKEN, what=what, found=found, fix=fix)
