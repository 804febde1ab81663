"""Our schemas say of every document what the official ones say.

The documents are in the TOML files beside this one, by name. The official schemas are not in
this repository: they are looked for in $UWSD_IVOA_XSD, then in ``../shared/ivoa-xsd``.
"""

import os
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest
import xmlschema
from lxml import etree
from lxml.etree import _Element

from tests.schemas.corpus import OURS, ROOT, ROWS, XS, Row, by_namespace
from uwsd.schemas import DocumentError, validate

OFFICIAL = Path(os.environ.get("UWSD_IVOA_XSD", ROOT.parent / "shared" / "ivoa-xsd"))
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
MUTANTS = 2000


CORPORA = sorted({row.corpus for row in ROWS})
every_row = pytest.mark.parametrize("row", ROWS, ids=[f"{row.corpus}: {row.name}" for row in ROWS])
each_catalog = pytest.mark.parametrize("catalog", ["rec", "rofr"])


def accepts(document: bytes) -> bool:
    try:
        validate(document)
    except DocumentError:
        return False
    return True


# The official schemas


class Catalog(etree.Resolver):
    """The official schemas by the addresses under which they import each other."""

    def __init__(self, name: str) -> None:
        entries = etree.parse(OFFICIAL / f"catalog-{name}.xml").getroot().iterfind("{*}uri")
        self.files = {entry.attrib["name"]: OFFICIAL / entry.attrib["uri"] for entry in entries}

    def resolve(self, address: str | None, _public_id: str | None, context: object, /) -> Any:
        file = self.files.get(address or "")
        return None if file is None else self.resolve_filename(str(file), context)


@cache
def official(catalog: str) -> etree.XMLSchema:
    """Return what is official of the namespaces that we have, as one set."""
    if not OFFICIAL.is_dir():
        pytest.skip(f"the official schemas are not at {OFFICIAL}: set UWSD_IVOA_XSD")
    resolver = Catalog(catalog)
    files = by_namespace(resolver.files.values())
    every = etree.Element(f"{XS}schema")
    for namespace in by_namespace(OURS):
        location = files[namespace].as_uri()
        etree.SubElement(every, f"{XS}import", namespace=namespace, schemaLocation=location)
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(resolver)
    return etree.XMLSchema(etree.fromstring(etree.tostring(every), parser))


@every_row
def test_a_document_is_accepted_or_refused_as_its_row_says(row: Row) -> None:
    assert accepts(row.document) is row.is_accepted()


@each_catalog
@every_row
def test_the_official_schemas_say_the_same(row: Row, catalog: str) -> None:
    verdict = official(catalog).validate(etree.fromstring(row.document))
    assert verdict is row.is_accepted(catalog), official(catalog).error_log


# Documents that nobody thought of


class Mutator:
    """Documents like those of one corpus, each with a few mistakes made of the others' pieces."""

    def __init__(self, corpus: str, random: Random) -> None:
        self.random = random
        self.seeds = [row.document for row in ROWS if row.corpus == corpus and row.is_accepted()]
        documents = [etree.fromstring(row.document) for row in ROWS if row.corpus == corpus]
        pieces = [element for document in documents for element in document.iter("*")]
        self.tags = sorted({element.tag for element in pieces})
        attributes = {str(name) for element in pieces for name in element.attrib}
        self.attributes = sorted({NIL, *attributes, *global_attributes()})
        values = {value for element in pieces for value in element.attrib.values()}
        texts = {element.text or "" for element in pieces}
        self.values = sorted({*values, *texts, *enumerated_words()})

    def mutant(self) -> bytes:
        root = etree.fromstring(self.random.choice(self.seeds))
        for _ in range(self.random.choice((1, 1, 2, 3))):
            self.random.choice(self.mistakes)(self, self.random.choice([*root.iter("*")]))
        return etree.tostring(root)

    def drop(self, element: _Element) -> None:
        if (parent := element.getparent()) is not None:
            parent.remove(element)

    def double(self, element: _Element) -> None:
        if element.getparent() is not None:
            element.addnext(deepcopy(element))

    def move(self, element: _Element) -> None:
        if (parent := element.getparent()) is not None:
            parent.insert(self.random.randrange(len(parent)), element)

    def adopt(self, element: _Element) -> None:
        relative = self.random.choice([*element.getroottree().getroot().iter("*")])
        element.insert(self.random.randint(0, len(element)), deepcopy(relative))

    def rename(self, element: _Element) -> None:
        element.tag = self.random.choice(self.tags)

    def add(self, element: _Element) -> None:
        etree.SubElement(element, self.random.choice(self.tags))

    def write(self, element: _Element) -> None:
        element.text = self.random.choice(self.values)

    def put(self, element: _Element) -> None:
        element.set(self.random.choice(self.attributes), self.random.choice(self.values))

    def unset(self, element: _Element) -> None:
        if element.attrib:
            del element.attrib[self.random.choice([*element.attrib])]

    def change(self, element: _Element) -> None:
        if element.attrib:
            element.set(self.random.choice([*element.attrib]), self.random.choice(self.values))

    mistakes = (drop, double, move, adopt, rename, add, write, put, unset, change)


def global_attributes() -> Iterator[str]:
    for namespace, file in by_namespace(OURS).items():
        for attribute in etree.parse(file).getroot().iterfind(f"{XS}attribute"):
            yield f"{{{namespace}}}{attribute.attrib['name']}"


def enumerated_words() -> Iterator[str]:
    for file in OURS:
        for word in etree.parse(file).getroot().iter(f"{XS}enumeration"):
            yield word.attrib["value"]


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_official_schemas_say_the_same_of_documents_nobody_thought_of(corpus: str) -> None:
    seed = int(os.environ.get("UWSD_TEST_SEED", SystemRandom().randrange(2**32)))
    print(f"UWSD_TEST_SEED={seed}")
    theirs, mutator, accepted = official("rec"), Mutator(corpus, Random(seed)), 0
    for _ in range(MUTANTS):
        document = mutator.mutant()
        ours = accepts(document)
        accepted += ours
        assert ours is theirs.validate(etree.fromstring(document)), document.decode()
    assert MUTANTS / 20 < accepted < MUTANTS, "mistakes of one kind show nothing"


@pytest.mark.parametrize("file", OURS, ids=[file.name for file in OURS])
def test_a_schema_offers_the_names_of_the_official_one(file: Path) -> None:
    official("rec")
    ((namespace, _),) = by_namespace([file]).items()
    theirs = by_namespace(Catalog("rec").files.values())[namespace]
    assert names(file) == names(theirs)


def names(schema: Path) -> set[tuple[str, str]]:
    """Return what a document, or another schema's type, can refer to."""
    kinds = {f"{XS}{kind}" for kind in ("element", "attribute", "simpleType", "complexType")}
    root = etree.parse(schema).getroot()
    return {(child.tag, child.attrib["name"]) for child in root if child.tag in kinds}


@pytest.mark.parametrize("file", OURS, ids=[file.name for file in OURS])
def test_another_compiler_takes_a_schema_as_it_lies(file: Path) -> None:
    assert xmlschema.XMLSchema(str(file), allow="local").built


def test_a_schema_names_the_others_by_file_alone() -> None:
    for file in OURS:
        for reference in etree.parse(file).iter(f"{XS}import", f"{XS}include"):
            assert file.with_name(reference.attrib["schemaLocation"]).is_file()
