"""Is a document what its schema says? The one place that reads `xsd/`, and it reads nothing else.

The folder lies beside the package in a checkout, where ``uwsd/xsd`` is a link to it, and inside
the package in a wheel. All its schemas make one set, so that a document of one namespace may
hold what another one defines: a capability of VOSI, say, with an interface of VODataService.
"""

from dataclasses import asdict
from functools import cache
from itertools import islice
from pathlib import Path
from threading import Lock

from lxml import etree
from lxml.etree import _ElementTree

LARGEST = 2**20  #: bytes of a document that `explain` takes
_FOLDER = Path(__file__).with_name("xsd").resolve()
_XS = "http://www.w3.org/2001/XMLSchema"
_MANY = 20  # errors of a document that are told
_LONG = 500  # characters of one that are told
_turn = Lock()  # a compiled schema keeps the errors of its last document: one at a time


class DocumentError(ValueError):
    """What is wrong with a document, and where."""

    def __init__(self, reason: str, *, line: int, element: str, expected: str = "") -> None:
        super().__init__(f"line {line}: {reason}{expected and f'; expected: {expected}'}")
        self.reason = reason
        self.expected = expected  #: what would be right; "" where `reason` says it
        self.line = line  #: counted from 1
        self.element = element  #: its XPath, such as ``/uws:job/uws:phase``; "" where none is known


def validate(document: bytes) -> None:
    """Raise `DocumentError` for the first thing in ``document`` that its schema refuses."""
    for error in _refusals(parse(document)):
        raise error


def explain(document: bytes) -> list[DocumentError]:
    """Return what is wrong with a document that somebody wrote; nothing, if `validate` takes it.

    In words for people, in the order of the document, and not more than are needed to begin with.
    A document that is longer than `LARGEST`, or cannot be read at all, has one error.
    """
    if len(document) > LARGEST:
        return [DocumentError(f"more than {LARGEST} bytes are not taken", line=1, element="")]
    try:
        return explain_tree(parse(document))
    except DocumentError as error:
        return [error]


def explain_tree(tree: _ElementTree) -> list[DocumentError]:
    """Return what `explain` does, of a document that was read by `parse`."""
    refusals = _refusals(tree)
    return (_in_words(tree) if refusals and _is_small(tree) else []) or refusals


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


def _refusals(tree: _ElementTree) -> list[DocumentError]:
    """Return what libxml2 refuses, which is what counts."""
    with _turn:
        schema = _schema()
        if schema.validate(tree):
            return []
        entries = [*islice(schema.error_log, _MANY)]
    return [
        DocumentError(_clipped(entry.message), line=entry.line, element=entry.path or "")
        for entry in entries
    ] or [DocumentError("it is not as its schema says", line=1, element="")]


def _clipped(message: str) -> str:
    """Shorten a message that repeats a long value."""
    return message if len(message) <= _LONG else f"{message[:_LONG]}…"


def _in_words(tree: _ElementTree) -> list[DocumentError]:
    from uwsd.schema_faults import faults  # noqa: PLC0415 - slow, and only needed here

    with _turn:
        found = faults(tree, _every(), _FOLDER)[:_MANY]
    return [DocumentError(**asdict(fault)) for fault in found]


def _is_small(tree: _ElementTree) -> bool:
    """Say whether xmlschema is quick with it: its time may grow with the square of these."""
    attributes = [len(element.attrib) for element in tree.iter("*")]
    return len(attributes) + sum(attributes) < 5000 and max(attributes) < 30


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(_every().encode(), _parser()))


@cache
def _every() -> str:
    """Return a schema that has nothing of its own and imports all that are in the folder."""
    every = etree.Element(f"{{{_XS}}}schema")
    for path in sorted(_FOLDER.glob("*.xsd")):
        namespace = etree.parse(path, _parser()).getroot().get("targetNamespace", "")
        location = path.as_uri()
        etree.SubElement(every, f"{{{_XS}}}import", namespace=namespace, schemaLocation=location)
    return etree.tostring(every, encoding="unicode")
