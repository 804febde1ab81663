"""What each record has to be (VOResource 1.2, and what harvesters make of it)."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from lxml.etree import _Element

from uwsd.registry.check.findings import Finding, Level, judged
from uwsd.registry.check.target import Harvest, Record
from uwsd.registry.oai.documents import RI, XSI

_TYPE = f"{{{XSI}}}type"
_CANONICAL = frozenset({"vr", "vs", "vg", "vstd", "tr", "cs", "sia", "ssap", "slap", "stc", "doc"})
_SERVICES = frozenset({"Service", "DataService", "CatalogService", "CatalogResource"})
_WHITE = re.compile(r"\s")

Trouble = Callable[[Record, _Element], Iterator[str]]


def check_records(harvest: Harvest) -> Iterator[Finding]:
    """Judge the records one by one; a finding is about all of them."""
    records = harvest.records
    yield judged(
        "metadata holds one ri:Resource, and that of a deleted record nothing (3.1.2)",
        (r.identifier for r in records if _is_odd(r)),
        "write the record as an element Resource in the namespace of RegistryInterface",
    )
    for what, look, fix, level in _CHECKS:
        troubles = (
            f"{record.identifier}: {trouble}"
            for record in records
            if (resource := record.resource) is not None
            for trouble in look(record, resource)
        )
        yield judged(what, troubles, fix, level=level)


def _is_odd(record: Record) -> bool:
    if record.is_deleted:
        return bool(record.resources)
    return [child.tag for child in record.resources] != [f"{{{RI}}}Resource"]


def _identifier(record: Record, resource: _Element) -> Iterator[str]:
    text = resource.findtext("identifier", "")
    if text != record.identifier:
        yield f"the record says {text!r}"
    if _WHITE.search(text) or "+" in text:
        yield "it has blanks or a +, which some harvesters do not encode"


def _dates(_record: Record, resource: _Element) -> Iterator[str]:
    texts = [resource.get("created", ""), resource.get("updated", "")]
    texts += [date.text or "" for date in resource.findall("curation/date")]
    for text in texts:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            yield f"{text!r} is no date"
            continue
        if (at if at.tzinfo else at.replace(tzinfo=UTC)) > datetime.now(UTC) + timedelta(seconds=1):
            yield f"{text} is in the future"


def _interfaces(_record: Record, resource: _Element) -> Iterator[str]:
    if resource.get(_TYPE, "").rpartition(":")[2] not in _SERVICES:
        return
    capabilities = resource.findall("capability")
    if not capabilities:
        yield "a service without capability"
    for capability in capabilities:
        if not capability.findall("interface"):
            yield f"{capability.get('standardID') or 'a capability'} has no interface"


def _methods(_record: Record, resource: _Element) -> Iterator[str]:
    for interface in resource.iter("interface"):
        if len(interface.findall("securityMethod")) > 1:
            yield "an interface with more than one securityMethod"


def _prefixes(_record: Record, resource: _Element) -> Iterator[str]:
    for element in resource.iter():
        prefix = element.get(_TYPE, "vr:").partition(":")[0]
        if prefix not in _CANONICAL:
            yield f"xsi:type with the prefix {prefix}"


def _url(_record: Record, resource: _Element) -> Iterator[str]:
    for element in (*resource.iter("accessURL"), *resource.iter("referenceURL")):
        text = element.text or ""
        if text != text.strip() or not text.startswith(("http://", "https://")):
            yield f"{text!r}"


def _subjects(_record: Record, resource: _Element) -> Iterator[str]:
    for element in resource.findall("content/subject"):
        text = (element.text or "").strip()
        if not re.fullmatch(r"[a-z0-9-]+", text):
            yield repr(text)


_CHECKS: tuple[tuple[str, Trouble, str, Level], ...] = (
    (
        "header and record have one identifier (3.1.3)",
        _identifier,
        "write it twice the same, to the letter",
        Level.FAIL,
    ),
    (
        "created, updated and all dates lie in the past",
        _dates,
        "write them in UTC with a Z; is the clock right?",
        Level.FAIL,
    ),
    (
        "each service has a capability with an interface",
        _interfaces,
        "describe how it is used",
        Level.WARN,
    ),
    (
        "at most one securityMethod an interface (VOResource 1.2)",
        _methods,
        "repeat the interface, with one securityMethod each",
        Level.FAIL,
    ),
    (
        "the prefixes of xsi:type are the canonical ones",
        _prefixes,
        "use vr, vs, vg: some clients compare them as text",
        Level.WARN,
    ),
    (
        "accessURL and referenceURL are http or https URLs, without blanks around",
        _url,
        "write the URL alone into the element",
        Level.FAIL,
    ),
    (
        "subjects are terms of the Unified Astronomy Thesaurus, as IVOA writes them",
        _subjects,
        "https://www.ivoa.net/rdf/uat lists them, such as gpu-computing",
        Level.WARN,
    ),
)
