"""The XML of records: ``ri:Resource`` and what it holds, in the schemas' order.

VOResource 1.2, Registry Interfaces 1.1 and StandardsRegExt 1.1. The prefixes are the canonical
ones, literally, and all are declared on each record: harvesters compare them as text, and cut a
record out of its envelope (VOResource 1.2 section 2.2.2, RegTAP 1.2 section 4.3).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree
from lxml.builder import ElementMaker
from lxml.etree import _Element, _ElementTree

from uwsd.schemas import parse
from uwsd.uws.times import to_second
from uwsd.uws.xmltext import legible

RI = "http://www.ivoa.net/xml/RegistryInterface/v1.0"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
_NAMESPACES = {
    "ri": RI,
    "vr": "http://www.ivoa.net/xml/VOResource/v1.0",
    "vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    "vg": "http://www.ivoa.net/xml/VORegistry/v1.0",
    "vstd": "http://www.ivoa.net/xml/StandardsRegExt/v1.0",
    "xsi": XSI,
}
_TYPE = f"{{{XSI}}}type"
_VERSION = "1.1"
"""Of VOResource: what is written here is valid in 1.1, which the Registry of Registries reads."""


def _add_text(element: _Element, text: str) -> None:
    element.text = legible(text)


E = ElementMaker(typemap={str: _add_text})
"""Makes elements; what it is given may hold what XML cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom to ask (VOResource's Contact)."""

    name: str
    email: str
    address: str = ""
    telephone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name of somebody or something that may have a record."""

    text: str
    identifier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What every record says (VOResource 1.2 section 3)."""

    type: str  #: its ``xsi:type``, such as ``vr:Service``
    identifier: str
    title: str
    description: str
    subjects: Sequence[str]
    reference_url: str
    publisher: Name
    contact: Person
    content_type: str  #: a term of the vocabulary content_type
    short_name: str = ""
    creators: Sequence[str] = ()
    version: str = ""
    level: str = "Research"  #: a term of the vocabulary content_level
    relations: Mapping[str, Name] = field(default_factory=dict)  #: by term of relationship_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The terms of use: a sentence, and where they stand."""

    text: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What has to be known of a finished record."""

    tag: str
    is_resource: bool
    identifier: str
    status: str


def head_of(tree: _ElementTree) -> Head:
    """Return what a document says of itself."""
    root = tree.getroot()
    return Head(
        tag=str(root.tag),
        is_resource=root.tag == f"{{{RI}}}Resource",
        identifier=(root.findtext("identifier") or "").strip(),
        status=root.get("status", ""),
    )


def organisation(resource: Resource) -> bytes:
    """Write who runs the site."""
    return _written(_resource(resource))


def authority(resource: Resource, managed_by: Name) -> bytes:
    """Write who names things in this name space (Registry Interfaces 1.1 section 5)."""
    root = _resource(resource)
    root.append(_name("managingOrg", managed_by))
    return _written(root)


def service(resource: Resource, rights: Rights, capabilities: Iterable[_Element]) -> bytes:
    """Write a service, with the capabilities that its VOSI endpoint shows."""
    root = _resource(resource)
    _add_service(root, rights, capabilities)
    return _written(root)


def registry(
    resource: Resource,
    *,
    url: str,
    page_size: int,
    authority: str,
    capabilities: Iterable[_Element],
) -> bytes:
    """Write this registry (Registry Interfaces 1.1 section 5.1), harvested at ``url``."""
    root = _resource(resource)
    # RI 1.1 kept the version of the OAI interface at 1.0; anything else is refused.
    access = E.interface(E.accessURL(url, use="base"), {_TYPE: "vg:OAIHTTP"}, role="std")
    access.set("version", "1.0")
    harvest = E.capability(access, E.maxRecords(str(page_size)), {_TYPE: "vg:Harvest"})
    harvest.set("standardID", "ivo://ivoa.net/std/Registry")
    _add_service(root, Rights(), [harvest, *capabilities])
    root.append(E.full("false"))
    root.append(E.managedAuthority(authority))
    return _written(root)


def standard(resource: Resource, keys: Mapping[str, str]) -> bytes:
    """Write a standard of our own; ``keys`` are what follows ``#`` in its identifiers."""
    root = _resource(resource)
    root.append(E.endorsedVersion("1.0", status="n/a"))
    root.extend(E.key(E.name(name), E.description(text)) for name, text in keys.items())
    return _written(root)


def stamped(document: bytes, *, created: datetime, updated: datetime) -> bytes:
    """Return a record with the dates it lacks: when it was first published, and last changed."""
    tree = parse(document)
    stamp(tree, created=created, updated=updated)
    return _written(tree.getroot())


def stamp(tree: _ElementTree, *, created: datetime, updated: datetime) -> None:
    """Add the dates that a record lacks; those that an admin's own brings along are left alone."""
    root = tree.getroot()
    for name, at in (("created", created), ("updated", updated)):
        if name not in root.attrib:
            root.set(name, to_second(at))


def _resource(resource: Resource) -> _Element:
    root = etree.Element(f"{{{RI}}}Resource", nsmap=_NAMESPACES)
    root.set(_TYPE, resource.type)
    root.set("status", "active")
    root.set("version", _VERSION)
    root.set(f"{{{XSI}}}schemaLocation", " ".join(f"{n} {n}" for n in _used(resource.type)))
    root.append(E.title(resource.title))
    if resource.short_name:
        root.append(E.shortName(resource.short_name))
    root.append(E.identifier(resource.identifier))
    root.append(E.curation(*_curation(resource)))
    root.append(E.content(*_content(resource)))
    return root


def _used(type_: str) -> Iterator[str]:
    """Yield the namespaces whose schemas are needed: of the type, and of its capabilities."""
    prefixes = dict.fromkeys(("ri", "vr", type_.partition(":")[0], "vs"))
    return (_NAMESPACES[prefix] for prefix in prefixes)


def _curation(resource: Resource) -> Iterator[_Element]:
    yield _name("publisher", resource.publisher)
    yield from (E.creator(E.name(creator)) for creator in resource.creators)
    if resource.version:
        yield E.version(resource.version)
    contact = resource.contact
    yield E.contact(
        E.name(contact.name),
        *_given(address=contact.address, email=contact.email),
        *_given(telephone=contact.telephone),
    )


def _content(resource: Resource) -> Iterator[_Element]:
    yield from map(E.subject, resource.subjects)
    yield E.description(resource.description)
    yield E.referenceURL(resource.reference_url)
    yield E.type(resource.content_type)
    yield E.contentLevel(resource.level)
    for term, other in resource.relations.items():
        related = _name("relatedResource", other)
        yield E.relationship(E.relationshipType(term), related)


def _add_service(root: _Element, rights: Rights, capabilities: Iterable[_Element]) -> None:
    if rights.text or rights.uri:
        written = E.rights(rights.text or rights.uri)
        if rights.uri:
            written.set("rightsURI", rights.uri)
        root.append(written)
    root.extend(capabilities)


def _name(tag: str, name: Name) -> _Element:
    element = E(tag, name.text)
    if name.identifier is not None:
        element.set("ivo-id", name.identifier)
    return element


def _given(**texts: str) -> list[_Element]:
    return [E(tag, text) for tag, text in texts.items() if text]


def _written(root: _Element) -> bytes:
    return etree.tostring(root, encoding="UTF-8")
