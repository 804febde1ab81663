"""The documents are many, most are wrong in one way, and no rule of a registry's schemas is idle."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from shutil import copy

import pytest
from lxml import etree
from lxml.etree import QName, _Element

from tests.schemas.corpus import OURS, ROWS, XS
from uwsd import schemas

#: Those of which our documents show every rule. Of the others `test_components` does.
SHOWN = [
    "DublinCore-v1.1.xsd",
    "OAI-PMH-v2.0.xsd",
    "StandardsRegExt-v1.1.xsd",
    "oai_dc-v2.0.xsd",
    "xml.xsd",
]


def test_at_least_half_of_the_documents_of_each_corpus_are_broken_on_purpose() -> None:
    count = {
        corpus: Counter("sound" if row.is_accepted() else "broken" for row in rows)
        for corpus, rows in groupby(ROWS, key=lambda row: row.corpus)
    }
    print(f"{len(ROWS)} documents: {count}")
    assert len(ROWS) > 500, count
    assert all(kinds["broken"] >= kinds["sound"] > 0 for kinds in count.values()), count
    assert len({row.document for row in ROWS}) == len(ROWS), "a document is there twice"


@pytest.mark.parametrize("name", SHOWN)
def test_a_rule_that_is_changed_is_missed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "_FOLDER", tmp_path)
    for file in OURS:
        copy(file, tmp_path)
    documents = [(etree.fromstring(row.document), row.is_accepted()) for row in ROWS]
    every = etree.fromstring(schemas._every.__wrapped__())
    idle = []
    for change in changes(tmp_path / name):
        with suppress(etree.XMLSchemaParseError):  # a rule that others depend on is missed at once
            schema = etree.XMLSchema(every)
            if all(schema.validate(document) is verdict for document, verdict in documents):
                idle.append(change)
    assert not idle


def changes(file: Path) -> Iterator[str]:
    """Rewrite a schema again and again with one rule changed, and yield which."""
    schema = etree.parse(file)
    for part in [*schema.iter(f"{XS}*")]:
        for attribute, value in differences(part):
            before = dict(part.attrib)
            part.set(attribute, value)
            schema.write(file)
            yield f"line {part.sourceline}: {attribute}={value}"
            part.attrib.clear()
            part.attrib.update(before)
    for facet in [*schema.iter(f"{XS}pattern", f"{XS}enumeration")]:
        parent = facet.getparent()
        assert parent is not None
        index = parent.index(facet)
        parent.remove(facet)
        schema.write(file)
        yield f"line {facet.sourceline}: no {facet.get('value')}"
        parent.insert(index, facet)


def differences(part: _Element) -> Iterator[tuple[str, str]]:
    """Yield what would be another rule: how often, of which type, from which namespace."""
    kind, parent = QName(part).localname, part.getparent()
    is_global = parent is None or parent.tag == f"{XS}schema"
    is_one_of_several = parent is not None and parent.tag == f"{XS}choice"
    if kind in {"element", "group", "any"} and not (is_global or is_one_of_several):
        yield "minOccurs", "1" if part.get("minOccurs") == "0" else "0"
        yield "maxOccurs", "1" if part.get("maxOccurs") == "unbounded" else "unbounded"
    if kind == "attribute" and not is_global:
        yield "use", "optional" if part.get("use") == "required" else "required"
    if part.get("type", "xs:string") not in {"xs:string", "xs:token"}:  # these take any text
        yield "type", "xs:anyType" if kind == "element" else "xs:anySimpleType"
    if kind == "any":
        yield "namespace", "##any"
        yield "processContents", "skip"
