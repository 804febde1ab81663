"""Our schemas have the types and elements of the official ones, however they are written.

Where `test_agreement.py` judges documents, this reads the compiled schemas, part by part.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from lxml import etree
from xmlschema import XMLSchema
from xmlschema.validators import (
    XsdAnyAttribute,
    XsdAnyElement,
    XsdAttribute,
    XsdComplexType,
    XsdElement,
    XsdGroup,
    XsdSimpleType,
    XsdType,
)

ROOT = Path(__file__).parents[2]
OFFICIAL = Path(os.environ.get("UWSD_IVOA_XSD", ROOT.parent / "shared" / "ivoa-xsd"))
OURS = sorted((ROOT / "xsd").glob("*.xsd"))
XS = "http://www.w3.org/2001/XMLSchema"
XML = "http://www.w3.org/XML/1998/namespace"
STC = "http://www.ivoa.net/xml/STC/stc-v1.30.xsd"
#: What the simple types are tried with, apart from all the words that any of them lists.
SAMPLES = """
    true|1|0|-1|4|5|02|1.5|2147483648|9999999999999999999|a| a |a b|a  b|12345678901234567
    2026-04-01|2026-04-01Z|2026-04|2026-04-01T08:00:00|2026-04-01T08:00:00.5Z|2026-04-01T08:00Z
    2026-04-01T08:00:00+00:00|-2026-04-01T08:00:00Z|12026-04-01T08:00:00Z|http://a|https://|ftp://a
    ivo://abc|ivo://ab|ivo://a_1/b-.!~*'()+=/c|ivo://abc/|ivo://abc//d|ivo://-bc|IVO://abc|ivo://ä_1
    abc|ab|-bc|a_.!~*'()+=|a/b|a//b|/a|a,b|3|3x4|3x*|3x12*|*|3*|3x|x3|*x3|**
    1 2|1. .2|-1e5 +1E-5|1  2|. 1|1e 2|INF 1|1 2 3|1,2
    a@b.c|@b.c|@@b.c|a@@.c|a@.c|a@b.|a@b|a@b.c.|a@..c|a b@c.d|a@b.c@|a@b.c d|ä@ö.ü| a@b.c
    a:b|a:b:c|:a|a:|a::b|-_.!~*'()|-_.!~*'():-|a%41|%|%4|%zz|#a|;/?:@&=+$,|ivo://abc#a|ivo://abc#
    ivo://abc/d#a;/?:@&=+$,%4F|ivo://abc/d#a#b|ivo://abc/#a|ivo://ab#a|en|en-GB|el-x-a|abcdefghi|en_GB
"""


@pytest.mark.parametrize("ours", OURS, ids=[file.name for file in OURS])
def test_a_schema_is_made_of_the_parts_of_the_official_one(ours: Path) -> None:
    if not OFFICIAL.is_dir():
        pytest.skip(f"the official schemas are not at {OFFICIAL}: set UWSD_IVOA_XSD")
    theirs = next(
        file for file in (OFFICIAL / "rec").iterdir() if namespace(file) == namespace(ours)
    )
    assert parts(compiled(ours)) == parts(compiled(theirs))


def namespace(file: Path) -> str:
    return etree.parse(file).getroot().attrib["targetNamespace"]


@cache
def compiled(file: Path) -> XMLSchema:
    entries = etree.parse(OFFICIAL / "catalog-rec.xml").getroot().iterfind("{*}uri")
    places = {entry.attrib["name"]: str(OFFICIAL / entry.attrib["uri"]) for entry in entries}
    # The schema of Dublin Core imports that of xml: without telling where it is.
    beside = {XML: str(file.with_name("xml.xsd"))}
    # lax, since this compiler finds fault with the restrictions of STC
    return XMLSchema(
        str(file), allow="local", uri_mapper=places, locations=beside, validation="lax"
    )


@cache
def samples() -> tuple[str, ...]:
    roots = [etree.parse(file).getroot() for file in (*OURS, *(OFFICIAL / "rec").glob("*.xsd"))]
    listed = {word.get("value", "") for root in roots for word in root.iter(f"{{{XS}}}enumeration")}
    tried = {sample for line in SAMPLES.strip().splitlines() for sample in line[4:].split("|")}
    return ("", *sorted(listed | tried))


def parts(schema: XMLSchema) -> dict[str, object]:
    return {
        **{f"element {name}": element_parts(part) for name, part in schema.elements.items()},
        **{f"attribute {name}": words(part.type) for name, part in schema.attributes.items()},
        **{f"type {name}": type_parts(part) for name, part in schema.types.items()},
    }


def element_parts(element: XsdElement) -> object:
    unique = [
        (type(identity), identity.selector.path, [field.path for field in identity.fields])
        for identity in element.identities
        if identity.selector is not None
    ]
    return element.nillable, element.default, unique, reference(element.type)


def type_parts(part: XsdType) -> object:
    if isinstance(part, XsdSimpleType):
        return words(part)
    assert isinstance(part, XsdComplexType)
    base = part.base_type and part.base_type.name
    content = part.content
    return {
        "kind": (base, part.derivation, part.abstract, part.mixed),
        "attributes": {name: attribute_parts(part.attributes[name]) for name in part.attributes},
        "content": list(particles(content)) if isinstance(content, XsdGroup) else words(content),
    }


def reference(part: XsdType) -> object:
    """Name a type that a document can name; take apart one that has no name."""
    if part.name is None:
        return type_parts(part)
    # What STC holds we do not look into.
    return f"{{{XS}}}anyType" if part.name.startswith(f"{{{STC}}}") else part.name


def attribute_parts(attribute: XsdAttribute | XsdAnyAttribute) -> object:
    if isinstance(attribute, XsdAnyAttribute):
        return wildcard_parts(attribute)
    return attribute.use, attribute.default, reference(attribute.type)


def wildcard_parts(wildcard: XsdAnyAttribute | XsdAnyElement) -> object:
    return wildcard.namespace, wildcard.not_namespace, wildcard.process_contents


def particles(
    particle: XsdGroup | XsdElement | XsdAnyElement, inside: str = "sequence"
) -> Iterator[object]:
    """Yield what may stand there; a group that stands once in one like it is as its members."""
    if isinstance(particle, XsdGroup):
        members = [part for member in particle for part in particles(member, particle.model)]
        if particle.model == "choice":  # in no order
            members.sort(key=repr)
        is_plain = particle.model == inside and particle.occurs == (1, 1)
        yield from members if is_plain else [(particle.model, particle.occurs, members)]
    elif isinstance(particle, XsdAnyElement):
        is_stc = particle.namespace == {STC}
        yield particle.occurs, STC if is_stc else wildcard_parts(particle)
    elif particle.name.startswith(f"{{{STC}}}"):
        yield particle.occurs, STC
    else:
        yield particle.occurs, particle.name, element_parts(particle)


def words(part: XsdSimpleType) -> tuple[object, ...]:
    """Return what a simple type takes of the samples, and how it treats blanks."""
    return part.white_space, tuple(word for word in samples() if part.is_valid(word))
