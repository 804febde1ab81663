"""Is a document what its schema says? The one place that reads `xsd/`, and it reads nothing else.

The folder lies beside the package in a checkout, where ``uwsd/xsd`` is a link to it, and inside
the package in a wheel. All its schemas make one set, so that a document of one namespace may
hold what another one defines: a capability of VOSI, say, with an interface of VODataService.
"""

from functools import cache
from pathlib import Path
from threading import Lock

from lxml import etree
from lxml.etree import _ElementTree

_FOLDER = Path(__file__).with_name("xsd")
_XS = "http://www.w3.org/2001/XMLSchema"
_turn = Lock()  # a compiled schema keeps the errors of its last document: one at a time


class DocumentError(ValueError):
    """What is wrong with a document, and where."""

    def __init__(self, reason: str, *, line: int, element: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.reason = reason
        self.line = line  #: counted from 1
        self.element = element  #: its XPath, such as ``/uws:job/uws:phase``; "" where none is known


def validate(document: bytes) -> None:
    """Raise `DocumentError` for the first thing in ``document`` that its schema refuses."""
    tree = parse(document)
    with _turn:
        schema = _schema()
        if not schema.validate(tree):
            first = schema.error_log[0]
            raise DocumentError(first.message, line=first.line, element=first.path or "")


def parse(document: bytes) -> _ElementTree:
    """Return the tree of a document that nobody vouches for, or raise `DocumentError`.

    No entity is resolved, no file or address is read, and a document type is refused.
    """
    try:
        tree = etree.fromstring(document, _parser()).getroottree()
    except etree.XMLSyntaxError as error:
        reason = error.msg.partition(", line ")[0]
        raise DocumentError(reason, line=error.lineno or 1, element="") from None
    if tree.docinfo.internalDTD is not None:
        raise DocumentError("a document type declaration is not taken", line=1, element="")
    return tree


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


@cache
def _schema() -> etree.XMLSchema:
    every = etree.fromstring(f'<xs:schema xmlns:xs="{_XS}"/>'.encode(), _parser())
    for path in sorted(_FOLDER.glob("*.xsd")):
        namespace = etree.parse(path, _parser()).getroot().get("targetNamespace", "")
        location = path.resolve().as_uri()
        etree.SubElement(every, f"{{{_XS}}}import", namespace=namespace, schemaLocation=location)
    return etree.XMLSchema(every)
