"""Reading the arguments of a request: which verb takes which, and of what form each is.

The forms are those of the schema's ``requestType``: an argument that passes here can stand in
the answer, which repeats it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from uwsd.registry.oai.errors import BadArgument, BadVerb


class Verb(StrEnum):
    """The six verbs (OAI-PMH 2.0 section 4)."""

    IDENTIFY = "Identify"
    LIST_METADATA_FORMATS = "ListMetadataFormats"
    LIST_SETS = "ListSets"
    LIST_IDENTIFIERS = "ListIdentifiers"
    LIST_RECORDS = "ListRecords"
    GET_RECORD = "GetRecord"


@dataclass(frozen=True, slots=True, kw_only=True)
class Takes:
    """Which arguments a verb needs and which it may have."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    exclusive: str | None = None  #: stands alone, in place of all others


_RANGE = frozenset({"from", "until", "set"})
_LIST = Takes(required=frozenset({"metadataPrefix"}), optional=_RANGE, exclusive="resumptionToken")
TAKES: Mapping[Verb, Takes] = {
    Verb.IDENTIFY: Takes(),
    Verb.LIST_METADATA_FORMATS: Takes(optional=frozenset({"identifier"})),
    Verb.LIST_SETS: Takes(exclusive="resumptionToken"),
    Verb.LIST_IDENTIFIERS: _LIST,
    Verb.LIST_RECORDS: _LIST,
    Verb.GET_RECORD: Takes(required=frozenset({"identifier", "metadataPrefix"})),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A legal request: the verb, and its arguments as they were sent."""

    verb: Verb
    arguments: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """Return an argument, or None when it was not given."""
        return self.arguments.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """``from`` and ``until`` as instants, both included; None is open."""

    since: datetime | None = None
    until: datetime | None = None


def read(pairs: Sequence[tuple[str, str]]) -> Request:
    """Return what was asked for, or raise `BadVerb` or `BadArgument`."""
    verb = _verb([value for name, value in pairs if name == "verb"])
    arguments = _once([(name, value) for name, value in pairs if name != "verb"])
    _check_names(verb, arguments)
    for name, value in arguments.items():
        if not _FORMS[name](value):
            raise BadArgument(f"{name} cannot be {value[:60]!r}; {_HELP[name]}")
    span(arguments)
    return Request(verb=verb, arguments=arguments)


def span(arguments: Mapping[str, str]) -> Span:
    """Return the range of datestamps that is asked for."""
    since, until = arguments.get("from"), arguments.get("until")
    if since is not None and until is not None and len(since) != len(until):
        raise BadArgument("from and until have to be of one granularity, days or seconds")
    begin = None if since is None else _instant(since)
    end = None if until is None else _instant(until)
    if end is not None and _is_day(until):
        end += _REST_OF_DAY
    if begin is not None and end is not None and begin > end:
        raise BadArgument("from is later than until")
    return Span(since=begin, until=end)


def _verb(values: Sequence[str]) -> Verb:
    if len(values) != 1:
        raise BadVerb(f"give verb once: {', '.join(Verb)}")
    try:
        return Verb(values[0])
    except ValueError:
        raise BadVerb(f"there is no verb {values[0][:60]!r}, only {', '.join(Verb)}") from None


def _once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for name, value in pairs:
        if name in arguments:
            raise BadArgument(f"{name[:60]!r} is given more than once")
        arguments[name] = value
    return arguments


def _check_names(verb: Verb, arguments: Mapping[str, str]) -> None:
    takes = TAKES[verb]
    known = takes.required | takes.optional | ({takes.exclusive} if takes.exclusive else set())
    for name in arguments:
        if name not in known:
            raise BadArgument(f"{verb} takes no {name[:60]!r}")
    if takes.exclusive in arguments:
        if len(arguments) > 1:
            raise BadArgument(f"{takes.exclusive} has to be the only argument")
        return
    if missing := sorted(takes.required - arguments.keys()):
        raise BadArgument(f"{verb} needs {' and '.join(missing)}")


_WORD = r"[A-Za-z0-9\-_.!~*'()]+"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_REST_OF_DAY = timedelta(days=1) - timedelta(seconds=1)


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _is_day(text: str | None) -> bool:
    return text is not None and _DAY.fullmatch(text) is not None


def _instant(text: str) -> datetime:
    form = "%Y-%m-%d" if _is_day(text) else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def _is_instant(text: str) -> bool:
    if not (_DAY.fullmatch(text) or _SECOND.fullmatch(text)):
        return False
    try:
        _instant(text)
    except ValueError:  # such as the 30th of February
        return False
    return True


_FORMS: Mapping[str, Callable[[str], bool]] = {
    "identifier": _matches(r"(?:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+"),
    "metadataPrefix": _matches(_WORD),
    "set": _matches(rf"{_WORD}(:{_WORD})*"),
    "from": _is_instant,
    "until": _is_instant,
    "resumptionToken": _matches(r"[A-Za-z0-9\-._~]{1,1000}"),
}
_HELP: Mapping[str, str] = {
    "identifier": "it is an IVOID such as ivo://authority/key",
    "metadataPrefix": "ListMetadataFormats tells which there are",
    "set": "ListSets tells which there are",
    "from": "it is a day such as 2026-11-25 or a second such as 2026-11-25T12:00:00Z",
    "until": "it is a day such as 2026-11-25 or a second such as 2026-11-25T12:00:00Z",
    "resumptionToken": "it is what the last page has given",
}
