"""What Registry Interfaces 1.1 asks of a publishing registry beyond OAI-PMH."""

from collections.abc import Iterator

from lxml.etree import _Element

from uwsd.registry.check.findings import Finding, Level, judged
from uwsd.registry.check.target import Answer, Harvest, Record, Target, records_of
from uwsd.registry.oai.documents import XSI
from uwsd.schemas import DocumentError, validate

_TYPE = f"{{{XSI}}}type"


def check_profile(target: Target, harvest: Harvest) -> Iterator[Finding]:
    """Judge the registry as a whole; sections are those of Registry Interfaces 1.1."""
    records = harvest.records
    yield judged(
        "no error in Identify, ListMetadataFormats, ListSets and ListRecords (3.1)",
        (f"{a.query}: {', '.join(a.codes)}" for a in _answers(harvest) if a.codes != {""}),
        "all four have to be answered for metadataPrefix=ivo_vor and set=ivo_managed",
    )
    yield judged(
        "every document is valid",
        _invalid(harvest),
        "the line and the element tell where it differs from its schema",
    )
    yield judged(
        "baseURL is the URL that was asked (3.1.5)",
        (u for u in harvest.identify.texts("Identify/baseURL") if u != target.url.rstrip("?")),
        "set server.base_url to the URL that everybody uses, and register exactly that one",
    )
    yield from _check_identify(harvest.registry)
    yield judged(
        "ListMetadataFormats has ivo_vor (3.1.2)",
        _missing(harvest.formats, "ListMetadataFormats/metadataFormat/metadataPrefix", "ivo_vor"),
        "offer the format ivo_vor",
    )
    yield judged(
        "ListSets has ivo_managed (3.1.6)",
        _missing(harvest.sets, "ListSets/set/setSpec", "ivo_managed"),
        "offer the set ivo_managed",
    )
    yield judged(
        "no other set is called ivo_... (3.1.6)",
        (
            name
            for name in harvest.sets.texts("ListSets/set/setSpec")
            if name.startswith("ivo_") and name != "ivo_managed"
        ),
        "call it otherwise",
    )
    yield judged(
        "each page has a record that is not deleted (3.1.2)",
        (page.query for page in harvest.pages if not any(map(_is_there, records_of(page)))),
        "make the pages larger: registry.page_size",
    )
    yield from _check_authorities(harvest.registry, records)


def _check_identify(registry: _Element | None) -> Iterator[Finding]:
    kind = "" if registry is None else registry.get(_TYPE, "")
    yield judged(
        "Identify holds the registry's own record, an ri:Resource (3.1.5)",
        [] if kind.endswith(":Registry") else [f"xsi:type {kind!r}" if kind else "none"],
        "put the record of type vg:Registry into the description",
    )
    if registry is None:
        return
    harvests = [c for c in registry.findall("capability") if c.get(_TYPE) == "vg:Harvest"]
    access = [i for c in harvests for i in c.findall("interface")]
    good = [i for i in access if i.get(_TYPE) == "vg:OAIHTTP" and i.get("role") == "std"]
    yield judged(
        "that record has a vg:Harvest with a vg:OAIHTTP interface of role std (4.0)",
        [] if good else ["there is none"],
        "the prefixes have to be literally vg:",
    )
    yield judged(
        "the version of that interface is 1.0 or not there (4.3.2)",
        (v for i in good if (v := i.get("version", "1.0")) != "1.0"),
        "write version 1.0, for Registry Interfaces 1.1, too",
    )


def _check_authorities(registry: _Element | None, records: list[Record]) -> Iterator[Finding]:
    there = [record for record in records if _is_there(record)]
    own = "" if registry is None else registry.findtext("identifier", "").strip()
    managed = (
        [] if registry is None else [a.text or "" for a in registry.findall("managedAuthority")]
    )
    authorities = {record.identifier for record in there if _kind(record) == "Authority"}
    used = {record.identifier[6:].partition("/")[0].lower() for record in records}
    yield judged(
        "the registry's record is in the list (3.1.4)",
        [] if own in {record.identifier for record in there} else [own or "it has no identifier"],
        "list the record of Identify, too",
    )
    yield judged(
        "the authority of each record is managed here (3.1.4)",
        sorted(used - {a.lower() for a in managed}),
        "add it to managedAuthority, or publish the record elsewhere",
    )
    yield judged(
        "each managed authority has its record (3.1.4)",
        (a for a in managed if f"ivo://{a}" not in authorities),
        "publish a record of type vg:Authority for it",
    )
    yield judged(
        "the registry has VOSI capabilities (5.1)",
        _vosi(registry),
        "describe /capabilities and /availability in the registry's record",
        level=Level.WARN,
    )


def _vosi(registry: _Element | None) -> Iterator[str]:
    found = [] if registry is None else registry.findall("capability")
    ids = {capability.get("standardID", "").lower() for capability in found}
    for name in ("capabilities", "availability"):
        if f"ivo://ivoa.net/std/vosi#{name}" not in ids:
            yield f"no {name}"


def _answers(harvest: Harvest) -> tuple[Answer, ...]:
    return (harvest.identify, harvest.formats, harvest.sets, *harvest.pages)


def _invalid(harvest: Harvest) -> Iterator[str]:
    for answer in _answers(harvest):
        try:
            validate(answer.content)
        except DocumentError as error:
            yield f"{answer.query}: {error}"


def _missing(answer: Answer, path: str, wanted: str) -> list[str]:
    names = answer.texts(path)
    return [] if wanted in names else [f"only {', '.join(names) or 'nothing'}"]


def _is_there(record: Record) -> bool:
    return not record.is_deleted and record.resource is not None


def _kind(record: Record) -> str:
    resource = record.resource
    return "" if resource is None else resource.get(_TYPE, "").rpartition(":")[2]
