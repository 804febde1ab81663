"""Records of services, read from OAI-PMH and VOSI documents by local name."""

from collections.abc import Iterator

from lxml import etree
from lxml.etree import _Element

from uwsd.client.errors import NotARegistry
from uwsd.client.platforms import Platform


def read_page(document: bytes, url: str, standard: str) -> tuple[list[Platform], str]:
    """Return the platforms on a page of ListRecords, and what resumes the list ("" at its end).

    Raises `NotARegistry`, with the registry's own words if there are any.
    """
    root = _root(document)
    if root is None or etree.QName(root).localname != "OAI-PMH":
        raise NotARegistry(f"{url} does not answer as an OAI-PMH registry")
    for error in root.iterfind("{*}error"):
        if error.get("code") == "noRecordsMatch":
            return [], ""
        raise NotARegistry(f"{url}: {error.get('code')}: {(error.text or '').strip()}")
    token = root.findtext("{*}ListRecords/{*}resumptionToken") or ""
    return list(_platforms(root, standard)), token.strip()


def is_available(document: bytes) -> tuple[bool, str] | None:
    """Return what an availability document says, and its notes; None when it is none."""
    root = _root(document)
    said = None if root is None else root.findtext("{*}available")
    if root is None or said is None:
        return None
    notes = "; ".join((note.text or "").strip() for note in root.iterfind("{*}note"))
    return said.strip() in ("true", "1"), notes


def standards(document: bytes) -> tuple[str, ...]:
    """Return the standard IDs that a capabilities document names."""
    root = _root(document)
    found = () if root is None else root.iterfind("{*}capability")
    return tuple(dict.fromkeys(id_ for each in found if (id_ := each.get("standardID"))))


def _platforms(root: _Element, standard: str) -> Iterator[Platform]:
    for record in root.iterfind("{*}ListRecords/{*}record/{*}metadata/{*}Resource"):
        if record.get("status", "active") != "active":
            continue
        urls = dict(_urls(record))
        joblists = [u for id_, us in urls.items() if id_.startswith(standard.lower()) for u in us]
        if joblists:
            yield Platform(
                identifier=_text(record, "identifier"),
                title=_text(record, "title"),
                description=_text(record, "content/description"),
                subjects=tuple((s.text or "").strip() for s in record.iterfind("content/subject")),
                joblists=tuple(dict.fromkeys(joblists)),
                capabilities=next(iter(urls.get("ivo://ivoa.net/std/vosi#capabilities", ())), None),
                availability=next(iter(urls.get("ivo://ivoa.net/std/vosi#availability", ())), None),
                updated=record.get("updated", ""),
            )


def _urls(record: _Element) -> Iterator[tuple[str, list[str]]]:
    """Yield each standard ID in lower case, and the URLs of its interfaces."""
    found: dict[str, list[str]] = {}
    for capability in record.iterfind("capability"):
        urls = (u.text or "" for u in capability.iterfind("interface/accessURL"))
        found.setdefault(capability.get("standardID", "").lower(), []).extend(
            url.strip() for url in urls
        )
    return iter(found.items())


def _text(record: _Element, path: str) -> str:
    return " ".join((record.findtext(path) or "").split())


def _root(document: bytes) -> _Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError:
        return None
