"""``uwsd platforms``: the same platforms, wherever they are looked for."""

import json
from pathlib import Path

import pytest

from tests.client.conftest import Uwsd
from tests.client.test_process import on_terminal
from tests.registry.conftest import Site

SOURCES = ("--registry", "--harvest")
ALL = ("demo", "platform", "sed")
EXECUTE_THIS = "ivo://org.example.uwsd/std/execute-this#rest-"

each_source = pytest.mark.parametrize("source", SOURCES)


@pytest.fixture
def places(site: Site, regtap: str) -> dict[str, str]:
    return {"--registry": regtap, "--harvest": f"{site.url}/oai"}


def found(uwsd: Uwsd, *words: str) -> list[list[str]]:
    run = uwsd("platforms", *words)
    assert run.exit_code == 0, run.output
    assert "Traceback" not in run.output
    return [line.split("\t") for line in run.stdout.splitlines()]


@each_source
def test_what_is_found_runs_a_job(
    source: str, site: Site, places: dict[str, str], uwsd: Uwsd, tmp_path: Path
) -> None:
    lines = found(uwsd, source, places[source])
    assert sorted((identifier, url) for identifier, *_, url in lines) == sorted(
        (f"ivo://org.example.uwsd/{key}", f"{site.url}/{name}/async")
        for key, names in (
            ("platform", ("demo", "checksum", "sed")),
            ("demo", ("demo",)),
            ("sed", ("sed",)),
        )
        for name in names
    )
    said = {identifier.rpartition("/")[2]: word for identifier, word, *_ in lines}
    assert said == {"platform": "yes", "demo": "yes", "sed": said["sed"]}
    assert all(0 <= int(age) < 60 for _, _, age, _, _ in lines)
    joblist = next(url for identifier, *_, url in lines if identifier.endswith("/demo"))
    submitted = uwsd("submit", joblist, "TEXT=found", "--download", str(tmp_path / "out"))
    assert submitted.exit_code == 0, submitted.output
    assert (tmp_path / "out" / "result.txt").read_text() == "found"


@each_source
@pytest.mark.parametrize(
    ("narrowed", "keys"),
    [
        (("--subject", "distributed-computing"), ALL),
        (("--subject", "Distributed-Computing", "--text", "blazar"), ("sed",)),
        (("--subject", "gpu-computing"), ()),
        (("--subject", "distributed-computing", "--subject", "gpu-computing"), ()),
        (("--text", "demonstration"), ("demo",)),
        (("--text", "SPECTRAL energy"), ("sed",)),
        (("--text", "Compute", "--text", "centre"), ("platform",)),
        (("--text", "demonstr"), ()),
        (("--standard", "ivo://ivoa.net/std/UWS#rest-1.1"), ALL),
        (("--standard", "ivo://ivoa.net/std/UWS#rest-1.0"), ()),
        (("--standard", "ivo://ivoa.net/std/uws#rest_1."), ()),
        (("--standard", "%"), ()),
        (("--standard", EXECUTE_THIS), ()),
        # what somebody types who means no good, or does not know
        (("--text", "o'x"), ()),
        (("--text", "x') OR 1 = 1 --"), ()),
        (("--text", "'; DROP TABLE rr.resource; --"), ()),
        (("--text", "%"), ()),
        (("--text", "ü漢字🚀"), ()),
        (("--text", "{conditions}"), ()),
        (("--text", ""), ()),
        (("--subject", "%' OR '1' = '1"), ()),
        (("--standard", "' OR 1 = 1 --"), ()),
    ],
    ids=str,
)
def test_a_search_is_narrowed(
    source: str,
    narrowed: tuple[str, ...],
    keys: tuple[str, ...],
    places: dict[str, str],
    uwsd: Uwsd,
) -> None:
    lines = found(uwsd, source, places[source], "--no-ask", *narrowed)
    assert sorted({line[0].rpartition("/")[2] for line in lines}) == list(keys)
    assert {(word, age) for _, word, age, *_ in lines} <= {("unknown", "")}


def test_both_kinds_of_registry_tell_the_same(places: dict[str, str], uwsd: Uwsd) -> None:
    told = [
        json.loads(uwsd("platforms", source, places[source], "--json").stdout) for source in SOURCES
    ]
    for platform in (*told[0], *told[1]):
        status = platform.pop("status")
        assert status["answers"] is True
        assert "ivo://ivoa.net/std/UWS#rest-1.1" in status["standards"]
    assert told[0] == told[1]
    platform = next(p for p in told[0] if p["identifier"].endswith("/platform"))
    assert platform["subjects"] == [
        "astronomy-web-services",
        "computational-methods",
        "distributed-computing",
    ]
    assert len(platform["joblists"]) == 3


def test_a_terminal_gets_a_table(places: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    status, text = on_terminal("platforms", "--harvest", places["--harvest"])
    assert status == 0
    assert "┃" in text
    assert "Demonstration" in text
    assert " now " in text


def test_nothing_found_is_said(places: dict[str, str], uwsd: Uwsd) -> None:
    run = uwsd("platforms", "--harvest", places["--harvest"], "--text", "nothing like this")
    assert (run.exit_code, run.stdout, run.stderr) == (0, "", "no platform is found\n")
    run = uwsd("platforms", "--registry", places["--registry"], "--text", "nope", "--json")
    assert (run.exit_code, json.loads(run.stdout)) == (0, [])
