"""The XML of VOSI. Children of ``capabilities`` are in no namespace (VOSI 1.1 section 2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lxml import etree
from lxml.builder import E, ElementMaker
from lxml.etree import _Element

from uwsd.uws.times import to_second

AVAILABILITY = "http://www.ivoa.net/xml/VOSIAvailability/v1.0"
VOSI = "http://www.ivoa.net/xml/VOSICapabilities/v1.0"
VODATASERVICE = "http://www.ivoa.net/xml/VODataService/v1.1"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One way to use a service: a standard, and the URL where it is answered."""

    standard_id: str
    url: str
    use: str  #: ``full``: exactly this URL; ``base``: others below it, too
    version: str = "1.1"
    description: str = ""


def capabilities_document(interfaces: Iterable[Interface]) -> bytes:
    """Write ``<vosi:capabilities>``, one capability an interface."""
    root = etree.Element(
        f"{{{VOSI}}}capabilities", nsmap={"vosi": VOSI, "vs": VODATASERVICE, "xsi": XSI}
    )
    root.extend(map(_capability, interfaces))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _capability(interface: Interface) -> _Element:
    capability = E.capability(standardID=interface.standard_id)
    if interface.description:
        capability.append(E.description(interface.description))
    access = E.interface(E.accessURL(interface.url, use=interface.use), role="std")
    access.set(f"{{{XSI}}}type", "vs:ParamHTTP")
    access.set("version", interface.version)
    capability.append(access)
    return capability


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether something can be used now (VOSI 1.1 section 5)."""

    available: bool
    up_since: datetime | None = None
    down_at: datetime | None = None
    back_at: datetime | None = None
    notes: tuple[str, ...] = ()


def availability_document(told: Availability) -> bytes:
    """Write ``<vosi:availability>``; unlike those of capabilities its children are qualified."""
    make = ElementMaker(namespace=AVAILABILITY, nsmap={"vosi": AVAILABILITY})
    times = (("upSince", told.up_since), ("downAt", told.down_at), ("backAt", told.back_at))
    root = make.availability(
        make.available("true" if told.available else "false"),
        *(make(name, to_second(at)) for name, at in times if at is not None),
        *(make.note(note) for note in told.notes),
    )
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
