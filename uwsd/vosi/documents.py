"""The XML of VOSI. Children of ``capabilities`` are in no namespace (VOSI 1.1 section 2)."""

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree
from lxml.builder import E
from lxml.etree import _Element

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
    logins: tuple[str | None, ...] = (None,)
    """The security methods, each with an interface of its own (VOResource 1.2); None: without."""


def capabilities_document(interfaces: Iterable[Interface]) -> bytes:
    """Write ``<vosi:capabilities>``, one capability a standard."""
    root = etree.Element(
        f"{{{VOSI}}}capabilities", nsmap={"vosi": VOSI, "vs": VODATASERVICE, "xsi": XSI}
    )
    root.extend(map(_capability, interfaces))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _capability(interface: Interface) -> _Element:
    capability = E.capability(standardID=interface.standard_id)
    if interface.description:
        capability.append(E.description(interface.description))
    capability.extend(_access(interface, login) for login in interface.logins)
    return capability


def _access(interface: Interface, login: str | None) -> _Element:
    access = E.interface(E.accessURL(interface.url, use=interface.use), role="std")
    access.set(f"{{{XSI}}}type", "vs:ParamHTTP")
    access.set("version", interface.version)
    if login is not None:
        access.append(E.securityMethod(standardID=login))
    return access
