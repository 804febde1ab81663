"""What a check has found."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"  #: allowed, and yet some clients will not manage
    FAIL = "fail"  #: no registration with this


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str  #: what was looked at, such as "ListSets has ivo_managed"
    found: str = ""  #: what is there instead
    fix: str = ""  #: what to do


def judged(
    what: str, troubles: Iterable[str], fix: str = "", *, level: Level = Level.FAIL
) -> Finding:
    """Return a finding that passes when there are no troubles."""
    found = list(dict.fromkeys(troubles))
    if not found:
        return Finding(level=Level.PASS, what=what)
    more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    return Finding(level=level, what=what, found="; ".join(found[:3]) + more, fix=fix)
