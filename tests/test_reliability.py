"""docs/reliability.md: all faults are in it, and what it calls shown is shown by a test."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs/reliability.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| (.+) \| (.+) \| (.*)\|$", DOCUMENT, re.MULTILINE)
TESTS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT)


@cache
def names(path: str) -> frozenset[str]:
    """Return the tests in a file, also those in classes."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_fault_has_a_row() -> None:
    assert [int(number) for number, *_ in ROWS] == list(range(1, 57))


@pytest.mark.parametrize(("path", "name"), sorted(set(TESTS)))
def test_what_is_named_exists(path: str, name: str) -> None:
    assert name in names(path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_without_a_test_says_why(row: tuple[str, ...]) -> None:
    _, _, happens, shown = row
    assert re.search(r"`tests/.+::test_", shown) or re.search(
        r"cannot be produced here|not done", happens, re.IGNORECASE
    )
