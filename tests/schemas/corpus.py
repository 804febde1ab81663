"""The documents in the TOML files beside this one, by name, and what is to be said of each."""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

ROOT = Path(__file__).parents[2]
OURS = sorted((ROOT / "xsd").glob("*.xsd"))
XS = "{http://www.w3.org/2001/XMLSchema}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A document by name, and what is to be said of it."""

    name: str
    corpus: str
    verdict: str  #: accepted, refused; newly so where the older set, rofr, says the opposite
    document: bytes

    def is_accepted(self, catalog: str = "rec") -> bool:
        is_older = self.verdict.startswith("newly ") and catalog == "rofr"
        return self.verdict.endswith("accepted") is not is_older


def read_rows() -> Iterator[Row]:
    for file in sorted(Path(__file__).parent.glob("*.toml")):
        for base, table in tomllib.loads(file.read_text()).items():
            document = table.pop("document")
            for verdict, rows in table.items():
                for edit, replacements in rows.items():
                    name = f"{base}: {edit}"
                    text = edited(document, replacements, name)
                    yield Row(name=name, corpus=file.stem, verdict=verdict, document=text.encode())


def edited(document: str, replacements: list[str], name: str) -> str:
    for old, new in zip(replacements[::2], replacements[1::2], strict=True):
        assert document.count(old) == 1, f"{name}: {old!r} is there {document.count(old)} times"
        document = document.replace(old, new)
    return document


ROWS = tuple(read_rows())


def by_namespace(files: Iterable[Path]) -> dict[str, Path]:
    return {etree.parse(file).getroot().attrib["targetNamespace"]: file for file in sorted(files)}
