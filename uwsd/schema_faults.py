"""What is wrong with a document, in words for whoever wrote it, found by the library xmlschema.

It takes half a second to import and one to read our schemas, and much longer than libxml2 to
judge: only `uwsd.schemas.explain` comes here, with a small document that is refused.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from lxml.etree import _Element, _ElementTree
from xmlschema import XMLSchema
from xmlschema.aliases import XMLSourceType
from xmlschema.exceptions import XMLSchemaException
from xmlschema.names import XSD_NAMESPACE, XSI_TYPE
from xmlschema.validators import (
    XMLSchemaChildrenValidationError,
    XMLSchemaValidationError,
    XsdAnyElement,
    XsdComponent,
    XsdElement,
    XsdGroup,
    XsdSimpleType,
)
from xmlschema.validators.facets import XsdEnumerationFacets, XsdPatternFacets

_ATTRIBUTE = re.compile(r"attribute (?P<name>(?:\{.*?\})?[\w.-]+)=")
_COMPONENT = re.compile(r"Xsd\w+\(name='([^']+)'.*?\)")
_MARKS = {(1, 1): "", (0, 1): "?", (1, None): "+", (0, None): "*"}
_LONGEST = 200  # characters of a value that are repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    line: int
    element: str  #: its XPath
    reason: str
    expected: str  #: "" where `reason` says it


def faults(tree: _ElementTree, schemas: str, folder: Path) -> list[Fault]:
    """Return the first fault of each element and of each attribute, in the document's order.

    ``schemas`` imports every schema, all of them in ``folder``. The list is empty where this
    library sees nothing wrong, or does not get to the end.
    """
    try:
        errors = list(_schema(schemas, folder).iter_errors(cast("XMLSourceType", tree)))
    except (XMLSchemaException, RecursionError):
        return []
    first: dict[object, XMLSchemaValidationError] = {}
    for error in errors:
        first.setdefault(_place(error), error)
    return sorted((_fault(tree, error) for error in first.values()), key=lambda fault: fault.line)


@cache
def _schema(schemas: str, folder: Path) -> XMLSchema:
    return XMLSchema(schemas, base_url=str(folder), allow="sandbox", use_fallback=False)


def _place(error: XMLSchemaValidationError) -> tuple[object, str]:
    """Return what one mistake is about: it may break several rules, the first tells enough."""
    reason = error.reason or ""
    return error.elem, (_attribute(error) or reason) if "attribute" in reason else ""


def _attribute(error: XMLSchemaValidationError) -> str:
    match = _ATTRIBUTE.match(error.reason or "")
    return match["name"] if match else ""


def _fault(tree: _ElementTree, error: XMLSchemaValidationError) -> Fault:
    where = error.elem if error.invalid_child is None else error.invalid_child
    element = tree.getroot() if where is None else cast("_Element", where)
    reason, expected = _words(error, element)
    return Fault(
        line=element.sourceline or 1,
        element=tree.getpath(element),
        reason=reason,
        expected=expected,
    )


def _words(error: XMLSchemaValidationError, element: _Element) -> tuple[str, str]:
    """Return what is wrong and, if that is to be told apart, what would be right."""
    rule, name = error.validator, _name(element)
    if isinstance(error, XMLSchemaChildrenValidationError) and isinstance(rule, XsdGroup):
        state = "is not complete" if error.invalid_child is None else "is out of place"
        outer = _name(cast("_Element", error.elem))
        return f"{name} {state}", f"{outer} with {_model(rule) or 'nothing inside'}"
    reason = _COMPONENT.sub(r"\1", error.reason or error.message)
    if isinstance(error.obj, str):
        right = _right(rule) or reason.rpartition(": ")[2]
        return f"{_attribute(error) or name} is {_clipped(error.obj)!r}", right
    if "global component" in reason:
        return f"xsi:type is {_clipped(element.get(XSI_TYPE, ''))!r}", "a type of a known schema"
    return f"{name}: {_clipped(reason)}", ""


def _name(element: _Element) -> str:
    local = str(element.tag).rpartition("}")[2]
    return f"{element.prefix}:{local}" if element.prefix else local


def _clipped(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def _right(rule: object) -> str:
    """Return what a value may be: as our schema documents the type, if it does."""
    if isinstance(rule, XsdPatternFacets):
        return _documentation(rule.parent) or f"what matches {' or '.join(rule.regexps)}"
    if isinstance(rule, XsdEnumerationFacets):
        return f"one of {', '.join(map(str, rule.enumeration))}"
    return f"a value of {rule.prefixed_name}" if isinstance(rule, XsdSimpleType) else ""


def _documentation(part: XsdComponent | None) -> str:
    """Return what our schema says of a type; XML Schema says nothing of its own."""
    if part is None or part.annotation is None or part.target_namespace == XSD_NAMESPACE:
        return ""
    texts = ("".join(text.itertext()) for text in part.annotation.documentation)
    return " ".join(" ".join(texts).split())


def _model(particle: XsdGroup | XsdElement | XsdAnyElement) -> str:
    """Return what may stand there, in order, written as in a DTD: ``a, b?, (c | d)*``."""
    least, most = particle.occurs
    mark = _MARKS.get((least, most), f"{{{least},{most}}}")
    if isinstance(particle, XsdElement):
        return f"{particle.prefixed_name}{mark}"
    if isinstance(particle, XsdAnyElement):
        return f"an element of another schema{mark}"
    if len(particle) == 1 and not mark:
        return _model(particle[0])
    is_choice = particle.model == "choice"
    members = (" | " if is_choice else ", ").join(filter(None, map(_model, particle)))
    return f"({members}){mark}" if is_choice or mark else members
