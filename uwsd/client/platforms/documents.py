"""What OAI-PMH and VOSI documents say of platforms, read by local name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree
from lxml.etree import _Element

from uwsd.client.errors import NotARegistry
from uwsd.client.platforms import Access, Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of ListRecords."""

    records: Mapping[str, Platform | None]  #: by IVOID; None: deleted, or of no platform
    token: str  #: what resumes the list; "" at its end


def read_page(document: bytes, url: str, standard: str) -> Page:
    """Return a page; raise `NotARegistry`, with the registry's own words if there are any."""
    root = _root(document)
    if root is None or etree.QName(root).localname != "OAI-PMH":
        raise NotARegistry(f"{url} does not answer as an OAI-PMH registry")
    for error in root.iterfind("{*}error"):
        if error.get("code") == "noRecordsMatch":
            return Page(records={}, token="")
        raise NotARegistry(f"{url}: {error.get('code')}: {_squeezed(error.text)}")
    records = {
        _text(record, "header/identifier").lower(): _platform(record, standard)
        for record in root.iterfind("{*}ListRecords/{*}record")
    }
    return Page(records=records, token=_text(root, "ListRecords/resumptionToken"))


def is_available(document: bytes) -> tuple[bool, str] | None:
    """Return what an availability document says, and its notes; None when it is none."""
    root = _root(document)
    said = "" if root is None else _text(root, "available")
    if root is None or not said:
        return None
    return said in ("true", "1"), "; ".join(_texts(root, "note"))


def standards(document: bytes) -> tuple[str, ...]:
    """Return the standard IDs that a capabilities document names."""
    root = _root(document)
    found = () if root is None else root.iterfind("{*}capability")
    return tuple(dict.fromkeys(id_ for each in found if (id_ := each.get("standardID"))))


def _platform(record: _Element, standard: str) -> Platform | None:
    resource = record.find("{*}metadata/{*}Resource")
    if resource is None or resource.get("status", "active") != "active":
        return None
    return Platform.of_record(
        _accesses(resource),
        standard,
        identifier=_text(resource, "identifier"),
        title=_text(resource, "title"),
        description=_text(resource, "content/description"),
        subjects=_texts(resource, "content/subject"),
        updated=resource.get("updated", ""),
    )


def _accesses(resource: _Element) -> Iterator[Access]:
    for capability in resource.iterfind("{*}capability"):
        standard = capability.get("standardID", "").lower()
        for interface in capability.iterfind("{*}interface"):
            role = interface.get("role", "").lower()
            yield Access(standard, role, _text(interface, "accessURL"))


def _text(element: _Element, path: str) -> str:
    return next(iter(_texts(element, path)), "")


def _texts(element: _Element, path: str) -> list[str]:
    """Return the texts at a path, of any namespace: some registries' records have a wrong one."""
    anywhere = "/".join(f"{{*}}{name}" for name in path.split("/"))
    return [_squeezed(found.text) for found in element.iterfind(anywhere)]


def _squeezed(text: str | None) -> str:
    return " ".join((text or "").split())


def _root(document: bytes) -> _Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError:
        return None
