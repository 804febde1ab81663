"""OAI-PMH 2.0: one request after the other, each with the answers that are right.

The requests are those of the repository explorer that the Registry of Registries runs first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from uwsd.registry.check.findings import Finding, judged
from uwsd.registry.check.target import Answer, Harvest, Target

OK = ""
_LIST = "metadataPrefix=oai_dc"
_OLD = f"{_LIST}&from=2000-01-01&until=2000-01-01"
_GARBAGE = f"{_LIST}&set=really_wrong_set&from=some_random_date&until=some_random_date"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A request, and the error codes that are right for it; OK is a normal answer.

    ``{id}`` is a record of the registry, ``{format}`` the first format it lists, ``{token}`` a
    resumption token, if it has given one, ``{early}`` a day before everything.
    """

    query: str
    right: frozenset[str]


def _row(query: str, *right: str) -> Row:
    return Row(query=f"verb={query}", right=frozenset(right))


_EMPTY = (OK, "noRecordsMatch", "badArgument")
_FORMAT = ("cannotDisseminateFormat", "badArgument")
_UNKNOWN = ("idDoesNotExist", "badArgument")
_SETS = ("badArgument", "noSetHierarchy")
ROWS = (
    _row("Identify", OK),
    _row("Identify&test=test", "badArgument"),
    _row("ListMetadataFormats", OK),
    _row("ListSets", OK, *_SETS),
    _row(f"ListIdentifiers&{_LIST}", OK),
    _row("ListIdentifiers&resumptionToken={token}", OK),
    _row(f"ListIdentifiers&{_LIST}&resumptionToken={{token}}", "badArgument", "badResumptionToken"),
    _row(f"ListIdentifiers&{_OLD}", *_EMPTY),
    _row(f"ListIdentifiers&{_OLD}&set=ivo_managed", *_EMPTY),
    _row(f"ListIdentifiers&{_GARBAGE}", *_SETS),
    _row(f"ListIdentifiers&{_LIST}&from=2001-01-01&until=2003-01-01T00:00:00Z", "badArgument"),
    _row(
        f"ListIdentifiers&{_LIST}&from=2000-01-01&until=1999-01-01", "noRecordsMatch", "badArgument"
    ),
    _row("ListIdentifiers", "badArgument"),
    _row("ListIdentifiers&metadataPrefix={format}", *_EMPTY),
    _row("ListIdentifiers&metadataPrefix=illegal_mdp", *_FORMAT),
    _row(f"ListIdentifiers&{_LIST}&{_LIST}", "badArgument"),
    _row("ListIdentifiers&resumptionToken=junktoken", "badResumptionToken"),
    _row(f"ListIdentifiers&{_LIST}&from=2001-01-01", *_EMPTY),
    _row(f"ListIdentifiers&{_LIST}&from=2001-01-01T00:00:00Z", *_EMPTY),
    _row(f"ListIdentifiers&{_LIST}&from=2001", "badArgument"),
    _row("ListMetadataFormats&identifier={id}", OK),
    _row("ListMetadataFormats&identifier=really_wrong_id", *_UNKNOWN),
    _row("GetRecord&identifier={id}&metadataPrefix={format}", OK),
    _row(f"GetRecord&identifier={{id}}&{_LIST}", OK),
    _row("GetRecord&identifier={id}", "badArgument"),
    _row("GetRecord&identifier={id}&metadataPrefix=illegal_mdp", *_FORMAT),
    _row(f"GetRecord&{_LIST}", "badArgument"),
    _row(f"GetRecord&identifier=really_wrong_id&{_LIST}", *_UNKNOWN),
    _row(f'GetRecord&identifier=invalid\\"id&{_LIST}', *_UNKNOWN),
    _row(f"ListRecords&{_OLD}", *_EMPTY),
    _row("ListRecords&metadataPrefix={format}&from=2000-01-01&until=2000-01-01", *_EMPTY),
    _row(f"ListRecords&{_GARBAGE}", *_SETS),
    _row("ListRecords", "badArgument"),
    _row(f"ListRecords&{_LIST}&from=2001-01-01&until=2003-01-01T00:00:00Z", "badArgument"),
    _row(f"ListRecords&{_LIST}&until={{early}}", "noRecordsMatch", "badArgument"),
    _row(f"ListRecords&{_LIST}", OK),
    _row("ListRecords&resumptionToken=junktoken", "badResumptionToken"),
    _row("IllegalVerb", "badVerb"),
)
_FIX = "OAI-PMH 2.0 section 3.6 tells which error it is"


def check_protocol(target: Target, harvest: Harvest) -> Iterator[Finding]:
    """Send every row that can be sent, and judge the answers."""
    values = _values(target, harvest)
    for row in ROWS:
        names = {name for name in ("token", "id", "format", "early") if f"{{{name}}}" in row.query}
        if names <= values.keys():
            answer = target.ask(row.query.format(**values))
            yield judged(f"OAI {row.query}", _troubles(answer, row), _FIX)
    yield judged(
        "OAI earliestDatestamp is as fine as the granularity",
        _granularity(harvest.identify),
        "write both to the second, such as 2026-01-01T00:00:00Z",
    )


def _troubles(answer: Answer, row: Row) -> Iterator[str]:
    if answer.codes == {"?"}:
        yield f"status {answer.status} and {answer.media_type or 'no media type'}, not an answer"
    elif not answer.codes <= row.right:
        right = " or ".join(code or "a normal answer" for code in sorted(row.right))
        yield f"{', '.join(sorted(answer.codes)) or 'a normal answer'} instead of {right}"
    if b"UTF-8" not in (first := answer.content.partition(b"\n")[0]) and b"encoding" in first:
        yield "the encoding is not UTF-8"


def _values(target: Target, harvest: Harvest) -> Mapping[str, str]:
    """Return what the placeholders stand for, as far as the registry has it."""
    ids = [record.identifier for record in harvest.records if not record.is_deleted]
    formats = harvest.formats.texts("ListMetadataFormats/metadataFormat/metadataPrefix")
    token = target.ask(f"verb=ListIdentifiers&{_LIST}").token
    values = {"id": ids[:1], "format": formats[:1], "token": [token] if token else []}
    return {name: found[0] for name, found in values.items() if found} | _early(harvest.identify)


def _early(identify: Answer) -> dict[str, str]:
    for text in identify.texts("Identify/earliestDatestamp"):
        try:
            day = datetime.fromisoformat(text) - timedelta(days=366)
        except (ValueError, OverflowError):
            return {}
        return {"early": f"{day:%Y-%m-%d}"}
    return {}


def _granularity(identify: Answer) -> Iterator[str]:
    earliest = identify.texts("Identify/earliestDatestamp")
    granularity = identify.texts("Identify/granularity")
    if [len(text) for text in earliest] != [len(text) for text in granularity]:
        yield f"{', '.join(earliest)} and {', '.join(granularity)}"
