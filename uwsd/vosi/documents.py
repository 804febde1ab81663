"""The XML of VOSI. Children of ``capabilities`` are in no namespace (VOSI 1.1 section 2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from lxml import etree
from lxml.builder import E, ElementMaker
from lxml.etree import _Element

from uwsd.capabilities.parameters import InputParam
from uwsd.uws.times import to_second
from uwsd.uws.xmltext import legible

AVAILABILITY = "http://www.ivoa.net/xml/VOSIAvailability/v1.0"
VOSI = "http://www.ivoa.net/xml/VOSICapabilities/v1.0"
VORESOURCE = "http://www.ivoa.net/xml/VOResource/v1.0"
VODATASERVICE = "http://www.ivoa.net/xml/VODataService/v1.1"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One way to use a service: its standard, if it has one, and the URL where it is answered."""

    url: str
    use: str  #: ``full``: exactly this URL; ``base``: others below it, too
    standard_id: str | None = None
    version: str = "1.1"
    description: str = ""
    type: str = "vs:ParamHTTP"
    logins: tuple[str | None, ...] = (None,)
    """The security methods, each with an interface of its own (VOResource 1.2); None: without."""
    method: str | None = "GET"  #: the best one; pyvo (1.9.1) warns of a fault where two are named
    answer: str | None = "text/xml"  #: media type; None: it depends
    parameters: tuple[InputParam, ...] = ()  #: of this service
    standard_parameters: tuple[InputParam, ...] = ()  #: of every service of its kind


def capabilities_document(interfaces: Iterable[Interface]) -> bytes:
    """Write ``<vosi:capabilities>``, one capability a standard."""
    namespaces = {"vosi": VOSI, "vr": VORESOURCE, "vs": VODATASERVICE, "xsi": XSI}
    root = etree.Element(f"{{{VOSI}}}capabilities", nsmap=namespaces)
    root.extend(capability_elements(interfaces))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def capability_elements(interfaces: Iterable[Interface]) -> list[_Element]:
    """Return the ``capability`` elements; the prefixes of their types are vr and vs."""
    return [_capability(interface) for interface in interfaces]


def _capability(interface: Interface) -> _Element:
    capability = E.capability()
    if interface.standard_id is not None:
        capability.set("standardID", interface.standard_id)
    if interface.description:
        capability.append(E.description(legible(interface.description)))
    capability.extend(_access(interface, login) for login in interface.logins)
    return capability


def _access(interface: Interface, login: str | None) -> _Element:
    access = E.interface(*_contents(interface, login))
    access.set(f"{{{XSI}}}type", interface.type)
    if interface.standard_id is not None:
        access.set("role", "std")
        access.set("version", interface.version)
    return access


def _contents(interface: Interface, login: str | None) -> Iterator[_Element]:
    """Yield the children of ``vs:ParamHTTP``, in the schema's order."""
    yield E.accessURL(interface.url, use=interface.use)
    if login is not None:
        yield E.securityMethod(standardID=login)
    if interface.method is not None:
        yield E.queryType(interface.method)
    if interface.answer is not None:
        yield E.resultType(interface.answer)
    for parameter in interface.parameters:
        yield _parameter(parameter, std="false")
    for parameter in interface.standard_parameters:
        yield _parameter(parameter, std="true")


def _parameter(parameter: InputParam, *, std: str) -> _Element:
    element = E.param(use="required" if parameter.required else "optional", std=std)
    for name in ("name", "description", "unit", "ucd"):
        if text := getattr(parameter, name):
            element.append(E(name, legible(text)))
    kind = E.dataType(parameter.simple_type)
    if parameter.arraysize is not None and parameter.simple_type != "string":
        kind.set("arraysize", parameter.arraysize)
    element.append(kind)
    return element


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
        *(make.note(legible(note)) for note in told.notes),
    )
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
