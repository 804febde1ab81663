"""Which files of a job are its results, under which ids."""

import random

import pytest

from uwsd.capabilities.base import MissingResult, ResultRule
from uwsd.capabilities.results import media_type, pick


def rule(name: str, path: str, *, required: bool = True) -> ResultRule:
    return ResultRule(id=name, path=path, media_type="text/plain", required=required)


@pytest.mark.parametrize(
    ("rules", "outputs", "found"),
    [
        ([rule("result", "a")], ["a", "b"], {"result": "a"}),
        ([rule("b", "b"), rule("result", "a")], ["a", "b"], {"result": "a", "b": "b"}),
        ([rule("result", "a", required=False)], ["b"], {}),
        ([rule("result", "*.png")], ["a.png", "b.txt"], {"result": "a.png"}),
        (
            [rule("result", "*.png")],
            ["b.png", "a.png", "d/c.png"],
            {"a.png": "a.png", "b.png": "b.png"},
        ),
        ([rule("result", "*/*.png")], ["a.png", "d/c.png", "d/e/f.png"], {"result": "d/c.png"}),
        ([rule("result", "*")], [".hidden", "a"], {"result": "a"}),
        ([rule("result", ".*")], [".hidden", "a"], {"result": ".hidden"}),
        ([rule("result", "[ab]?")], ["a1", "c1"], {"result": "a1"}),
        ([rule("result", "*")], ["bad\udcff", "bad\x0b", "a"], {"result": "a"}),
        (
            [rule("result", "*")],
            ["a b", "a\tb", "stdout", "é"],
            {"a_b": "a\tb", "a_b-2": "a b", "stdout-2": "stdout", "_": "é"},
        ),
        (
            [rule("result", "r"), rule("x", "*/f")],
            ["r", "1/f", "2/f", "3/f"],
            {"result": "r", "f": "1/f", "f-2": "2/f", "f-3": "3/f"},
        ),
        (
            [rule("result", "r"), rule("x", "*/result")],
            ["r", "1/result", "2/result"],
            {"result": "r", "result-2": "1/result", "result-3": "2/result"},
        ),
    ],
)
def test_files_become_results(
    rules: list[ResultRule], outputs: list[str], found: dict[str, str]
) -> None:
    random.Random(1).shuffle(outputs)
    results = pick(rules, dict.fromkeys(outputs, 3))
    assert [(r.id, r.path) for r in results] == [(n, f"outputs/{p}") for n, p in found.items()]
    assert {(r.media_type, r.size) for r in results} <= {("text/plain", 3)}


def test_what_is_missing_is_named_and_the_rest_is_there() -> None:
    rules = [rule("result", "a.fits"), rule("log", "log"), rule("plots", "*.png")]
    with pytest.raises(MissingResult, match=r"the job did not make a\.fits, \*\.png") as missing:
        pick(rules, {"log": 1})
    assert [r.id for r in missing.value.found] == ["log"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.fits", "application/fits"),
        ("a.vot", "application/x-votable+xml"),
        ("*.png", "image/png"),
        ("a.json", "application/json"),
        ("a.csv", "text/csv"),
        ("a.fits.gz", "application/gzip"),
        ("a.txt", "text/plain"),
        ("a", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
    ],
)
def test_the_end_of_a_name_tells_the_media_type(name: str, kind: str) -> None:
    assert media_type(name) == kind
