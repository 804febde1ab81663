"""The documents of DALI and DataLink: examples as XHTML with RDFa, service descriptors as VOTable.

The VOTable is not written with astropy, which cannot write a number without a value: and such a
PARAM is how DataLink asks for one (DataLink 1.1 section 4.3).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lxml import etree
from lxml.builder import ElementMaker
from lxml.etree import _Element

from uwsd.capabilities.base import Capability, Example
from uwsd.capabilities.parameters import InputParam
from uwsd.uws.xmltext import legible

XHTML = "http://www.w3.org/1999/xhtml"
VOTABLE = "http://www.ivoa.net/xml/VOTable/v1.3"  # of 1.4, too
EXAMPLES = "http://www.ivoa.net/rdf/examples#"

_H = ElementMaker(namespace=XHTML, nsmap={None: XHTML})
_V = ElementMaker(namespace=VOTABLE, nsmap={None: VOTABLE})
_TEXT = {"datatype": "char", "arraysize": "*"}
_COLUMNS = (  # DataLink 1.1 section 3.2
    ("ID", "meta.id;meta.main", _TEXT),
    ("access_url", "meta.ref.url", _TEXT),
    ("service_def", "meta.ref", _TEXT),
    ("error_message", "meta.code.error", _TEXT),
    ("description", "meta.note", _TEXT),
    ("semantics", "meta.code", _TEXT),
    ("content_type", "meta.code.mime", _TEXT),
    ("content_length", "phys.size;meta.file", {"datatype": "long", "unit": "byte"}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """One way to call a service."""

    id: str  #: an XML name
    name: str
    description: str
    access_url: str
    parameters: tuple[InputParam, ...]
    standard_id: str = ""
    content_type: str = ""  #: of the answer
    example_url: str = ""  #: a call of it, to see whether it works


def examples_document(service: Capability, url: str, style: str) -> bytes:
    """Write the examples of the service at ``url`` (DALI 1.2 section 2.3: RDFa 1.1 Lite)."""
    title = f"Examples of {legible(service.title)}"
    root = _H.html(
        _H.head(_H.meta(charset="utf-8"), _H.title(title), _H.link(rel="stylesheet", href=style)),
        _H.body(
            _H.main(
                _H.h1(title),
                _H.p("Run them, or values of your own, on ", _H.a("the service's page", href=url)),
                *(_example(example, service.standard_id) for example in service.examples),
                vocab=EXAMPLES,
            )
        ),
        lang="en",
    )
    return _serialize(root, doctype="<!DOCTYPE html>")


def _example(example: Example, standard_id: str) -> _Element:
    content = [
        _H.h2(legible(example.title), property="name"),
        _H.p(legible(example.description)),
        _H.ul(*(_keyval(name, value) for name, value in example.parameters)),
        _H.p(_H.small("For ", _H.code(standard_id, property="capability"))),
    ]
    places = {"id": example.id, "resource": f"#{example.id}", "typeof": "example"}
    return _H.div({**places, "class": "card"}, *content)


def _keyval(name: str, value: str) -> _Element:
    return _H.li(
        {"property": "generic-parameter", "typeof": "keyval"},
        _H.code(name, property="key"),
        " = ",
        _H.code(value, property="value"),
    )


def descriptor_document(url: str, ways: Sequence[Descriptor]) -> bytes:
    """Write the links of the service at ``url``: each way to call it, with its descriptor.

    It is a {links} document (DataLink 1.1 section 3.3), which clients know how to open.
    """
    root = _V.VOTABLE(_links(url, ways), *map(_resource, ways), version="1.4")
    return _serialize(root)


def _links(url: str, ways: Iterable[Descriptor]) -> _Element:
    rows = ((url, "", way.id, "", way.description, "#proc", way.content_type, "") for way in ways)
    return _V.RESOURCE(
        _V.INFO(name="QUERY_STATUS", value="OK"),
        _V.INFO(name="standardID", value="ivo://ivoa.net/std/DataLink#links-1.1"),
        _V.TABLE(
            *(_V.FIELD({"name": name, "ucd": ucd, **kind}) for name, ucd, kind in _COLUMNS),
            _V.DATA(_V.TABLEDATA(*(_V.TR(*(_V.TD(legible(c)) for c in row)) for row in rows))),
        ),
        type="results",
    )


def _resource(way: Descriptor) -> _Element:
    facts = (
        ("standardID", way.standard_id),
        ("accessURL", way.access_url),
        ("contentType", way.content_type),
        ("exampleURL", way.example_url),
    )
    attributes = {"type": "meta", "utype": "adhoc:service", "ID": way.id, "name": way.name}
    return _V.RESOURCE(
        attributes,
        _V.DESCRIPTION(legible(way.description)),
        *(_V.PARAM({"name": name, **_TEXT, "value": value}) for name, value in facts if value),
        _V.GROUP(*map(_input, way.parameters), name="inputParams"),
    )


def _input(parameter: InputParam) -> _Element:
    known = {
        "name": parameter.name,
        "datatype": parameter.datatype,
        "arraysize": _arraysize(parameter),
        "xtype": parameter.xtype,
        "unit": parameter.unit,
        "ucd": parameter.ucd or ("meta.ref.url" if parameter.is_file else None),
        "value": parameter.default or "",
    }
    attributes = {name: legible(text) for name, text in known.items() if text is not None}
    element = _V.PARAM(attributes, _V.DESCRIPTION(legible(_told(parameter))))
    values = [
        _V(tag, value=f"{bound}")
        for tag, bound in (("MIN", parameter.minimum), ("MAX", parameter.maximum))
        if bound is not None
    ]
    values += [_V.OPTION(value=legible(value)) for value in parameter.values]
    if values:
        element.append(_V.VALUES(*values))
    return element


def _arraysize(parameter: InputParam) -> str | None:
    # pyvo (1.9.1) fails on a scalar real that has no value; one that is an array of one it reads.
    if parameter.datatype == "double" and parameter.default is None:
        return parameter.arraysize or "1"
    return parameter.arraysize


def _told(parameter: InputParam) -> str:
    """Say what DataLink has no attribute for: what is required, and what may be repeated."""
    sentences = [
        parameter.description.rstrip("."),
        f"Takes {parameter.takes}" if parameter.xtype or parameter.is_file else "",
        "Required" if parameter.required else "",
        "May be given more than once" if parameter.repeatable else "",
    ]
    return " ".join(f"{sentence}." for sentence in sentences if sentence)


def _serialize(root: _Element, doctype: str | None = None) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", doctype=doctype)
