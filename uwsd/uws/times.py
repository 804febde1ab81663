"""Instants: UTC, ``T``, ``Z`` and milliseconds (UWS 1.1 section 2.2.1, DALI 1.2 section 3.3).

The precision that is printed is the precision that is stored and compared, so that
``AFTER=`` with a printed creationTime leaves that job out (2.2.2.1).
"""

import re
from datetime import UTC, datetime, timedelta

_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(
    r"(?P<year>\d{4})"
    r"(-(?P<month>\d\d)(-(?P<day>\d\d)([T ](?P<hour>\d\d):(?P<minute>\d\d)"
    r"(:(?P<second>\d\d)(\.(?P<fraction>\d{1,9}))?)?Z?)?)?"
    r"|(?P<basic>\d{4}))?",
    re.ASCII,
)


def now() -> datetime:
    """Return this instant, cut to the millisecond."""
    return from_milliseconds(to_milliseconds(datetime.now(UTC)))


def to_milliseconds(at: datetime) -> int:
    """Return the milliseconds since 1970: how an instant is stored."""
    return (at - _EPOCH) // _MILLISECOND


def from_milliseconds(count: int) -> datetime:
    """Return the instant that is ``count`` milliseconds after the start of 1970."""
    return _EPOCH + count * _MILLISECOND


def to_text(at: datetime) -> str:
    """Write an instant as ``2026-11-24T03:58:00.000Z``."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def to_second(at: datetime) -> str:
    """Write an instant as ``2026-11-24T03:58:00Z``, as registries do; the rest is cut off."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse(text: str) -> datetime:
    """Read an ISO 8601 instant in UTC, also in a reduced form; cut it to the millisecond.

    Taken are ``2015``, ``2015-10``, ``2015-10-26``, ``20151026``, and a date with
    ``Thh:mm[:ss[.f]]`` or a blank for the ``T``, each with or without ``Z``. Raises
    ValueError for all else, an offset from UTC among it.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time in UTC such as 2026-11-24T03:58:00Z")
    part = match.groupdict()
    month, day = part["month"], part["day"]
    if part["basic"]:
        month, day = part["basic"][:2], part["basic"][2:]
    try:
        return datetime(
            int(part["year"]),
            int(month or 1),
            int(day or 1),
            int(part["hour"] or 0),
            int(part["minute"] or 0),
            int(part["second"] or 0),
            int((part["fraction"] or "0")[:3].ljust(3, "0")) * 1000,
            UTC,
        )
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None
