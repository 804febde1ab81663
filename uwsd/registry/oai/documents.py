"""The XML of OAI-PMH, in the schema's order, and records as Dublin Core.

The envelope's elements have the prefix ``oai:``, so that the children of a record, which are in
no namespace, stay there. A record's own XML goes into its place as it is kept, with the
declarations it brings: answers are written as escaped strings.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from lxml import etree
from lxml.builder import ElementMaker

from uwsd.registry.oai.errors import OaiError
from uwsd.registry.store import Published
from uwsd.schemas import parse
from uwsd.uws.times import to_second
from uwsd.uws.xmltext import legible

OAI = "http://www.openarchives.org/OAI/2.0/"
OAI_DC = "http://www.openarchives.org/OAI/2.0/oai_dc/"
DC = "http://purl.org/dc/elements/1.1/"
RI = "http://www.ivoa.net/xml/RegistryInterface/v1.0"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SET = "ivo_managed"
"""The set of the records that originate here: all of them (Registry Interfaces 1.1 section 3.4)."""

_DC = ElementMaker(namespace=DC)
_OPEN = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<oai:OAI-PMH xmlns:oai="{OAI}" xmlns:xsi="{XSI}" '
    f'xsi:schemaLocation="{OAI} http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd">'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A form in which each record can be had."""

    prefix: str
    schema: str
    namespace: str


IVO_VOR = Format(prefix="ivo_vor", schema=RI, namespace=RI)
DUBLIN_CORE = Format(
    prefix="oai_dc", schema="http://www.openarchives.org/OAI/2.0/oai_dc.xsd", namespace=OAI_DC
)
FORMATS = {format_.prefix: format_ for format_ in (IVO_VOR, DUBLIN_CORE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """What follows a page of a list that takes several."""

    token: str  #: empty on the last page
    cursor: int
    size: int  #: of the whole list, as far as is known now


def answer(at: datetime, url: str, arguments: Mapping[str, str], content: str) -> bytes:
    """Write the envelope of every answer (OAI-PMH 2.0 section 3.2)."""
    echoed = "".join(f" {name}={quoteattr(value)}" for name, value in arguments.items())
    request = f"<oai:request{echoed}>{escape(url)}</oai:request>"
    date = _element("responseDate", to_second(at))
    return f"{_OPEN}{date}{request}{content}</oai:OAI-PMH>\n".encode()


def error(refusal: OaiError) -> str:
    """Write why a request is not done (OAI-PMH 2.0 section 3.6)."""
    return f'<oai:error code="{refusal.code}">{escape(legible(str(refusal)))}</oai:error>'


def identify(registry: bytes, url: str, earliest: datetime) -> str:
    """Write what this repository is; its record says so (Registry Interfaces 1.1 section 3.1.3)."""
    root = parse(registry).getroot()
    return _wrapped(
        "Identify",
        _element("repositoryName", root.findtext("title", "")),
        _element("baseURL", url),
        _element("protocolVersion", "2.0"),
        *(_element("adminEmail", email) for email in _texts(root, "curation/contact/email")),
        _element("earliestDatestamp", to_second(earliest)),
        _element("deletedRecord", "persistent"),
        _element("granularity", "YYYY-MM-DDThh:mm:ssZ"),
        _wrapped("description", registry.decode()),
    )


def metadata_formats() -> str:
    """Write the formats, of which both are there for every record (RI 1.1 section 3.1.1)."""
    return _wrapped(
        "ListMetadataFormats",
        *(
            _wrapped(
                "metadataFormat",
                _element("metadataPrefix", format_.prefix),
                _element("schema", format_.schema),
                _element("metadataNamespace", format_.namespace),
            )
            for format_ in FORMATS.values()
        ),
    )


def sets() -> str:
    """Write the one set that there is."""
    name = _element("setName", "Records that originate from this registry")
    return _wrapped("ListSets", _wrapped("set", _element("setSpec", SET), name))


def identifiers(records: Iterable[Published], resumption: Resumption | None) -> str:
    """Write the headers of a page."""
    return _wrapped("ListIdentifiers", *map(_header, records), _resumption(resumption))


def records(records: Iterable[Published], format_: Format, resumption: Resumption | None) -> str:
    """Write a page of records."""
    written = (_record(record, format_) for record in records)
    return _wrapped("ListRecords", *written, _resumption(resumption))


def record(found: Published, format_: Format) -> str:
    """Write one record."""
    return _wrapped("GetRecord", _record(found, format_))


def dublin_core(document: bytes) -> str:
    """Return a record's ``oai_dc:dc`` (RI 1.1 section 3.1.1: it is there for every record)."""
    root = parse(document).getroot()
    dc = etree.Element(f"{{{OAI_DC}}}dc", nsmap={"oai_dc": OAI_DC, "dc": DC, "xsi": XSI})
    dc.set(f"{{{XSI}}}schemaLocation", f"{OAI_DC} {DUBLIN_CORE.schema}")
    for name, paths in _CORE.items():
        dc.extend(_DC(name, text) for path in paths for text in _texts(root, path))
    return etree.tostring(dc, encoding="unicode")


_CORE: Mapping[str, Sequence[str]] = {
    "title": ("title",),
    "creator": ("curation/creator/name",),
    "subject": ("content/subject",),
    "description": ("content/description",),
    "publisher": ("curation/publisher",),
    "contributor": ("curation/contributor",),
    "date": ("curation/date",),
    "type": ("content/type",),
    "identifier": ("identifier", "content/referenceURL"),
    "source": ("content/source",),
    "rights": ("rights",),
}
"""Where in a record each element of Dublin Core comes from."""


def _texts(root: etree._Element, path: str) -> list[str]:
    return [text for element in root.findall(path) if (text := (element.text or "").strip())]


def _record(record: Published, format_: Format) -> str:
    if record.document is None:
        return _wrapped("record", _header(record))
    document = dublin_core(record.document) if format_ is DUBLIN_CORE else record.document.decode()
    return _wrapped("record", _header(record), _wrapped("metadata", document))


def _header(record: Published) -> str:
    status = "" if record.document is not None else ' status="deleted"'
    identifier = _element("identifier", record.identifier)
    datestamp = _element("datestamp", to_second(record.datestamp))
    return f"<oai:header{status}>{identifier}{datestamp}{_element('setSpec', SET)}</oai:header>"


def _resumption(resumption: Resumption | None) -> str:
    if resumption is None:
        return ""
    return (
        f'<oai:resumptionToken completeListSize="{resumption.size}" cursor="{resumption.cursor}">'
        f"{resumption.token}</oai:resumptionToken>"
    )


def _element(name: str, text: str) -> str:
    return f"<oai:{name}>{escape(text)}</oai:{name}>"


def _wrapped(name: str, *content: str) -> str:
    return f"<oai:{name}>{''.join(content)}</oai:{name}>"
