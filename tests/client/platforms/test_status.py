"""What is said of a platform that does not answer any more."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.conftest import Uwsd
from tests.client.platforms.conftest import Answering, Said
from tests.client.test_process import on_terminal
from tests.registry.conftest import Site
from tests.registry.regtap import Registry, serving
from uwsd.client.platforms import Platform, status

NOWHERE = Platform(
    identifier="ivo://x/y",
    title="x",
    description="",
    subjects=(),
    joblists=("http://127.0.0.1:9/async",),
    capabilities=None,
    availability=None,
    updated="",
)


def test_the_last_word_of_a_silent_platform_is_remembered(
    tmp_path: Path, uwsd: Uwsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, tables = Site(tmp_path).start(), Registry()
    tables.harvest(f"{site.url}/oai")
    with serving(tables) as registry:
        ask = ("platforms", "--registry", registry, "--text", "demonstration")

        def told(*more: str) -> list[str]:
            (line,) = uwsd(*ask, *more).stdout.splitlines()
            return line.split("\t")

        assert told("--no-ask")[1:3] == ["unknown", ""]
        assert told()[1] == "yes"
        site.server.kill()
        assert told()[1] == "was yes"
        age_the_memory(tmp_path / "cache" / "uwsd" / "platforms.json", hours=2)
        identifier, word, age, title, _ = told()
        assert (identifier, word, title) == (
            "ivo://org.example.uwsd/demo",
            "was yes",
            "Demonstration",
        )
        assert 7200 <= int(age) < 7300
        (as_json,) = json.loads(uwsd(*ask, "--json").stdout)
        assert as_json["status"]["answers"] is False
        assert as_json["status"]["is_available"] is True
        monkeypatch.setenv("COLUMNS", "200")
        assert "2 hours ago" in on_terminal(*ask)[1]
        for spoiled in ("{", '{"x": {"at": "x"}}', "[]", '{"u": null}'):
            (tmp_path / "cache" / "uwsd" / "platforms.json").write_text(spoiled)
            assert told()[1:3] == ["unknown", ""]


def age_the_memory(file: Path, *, hours: int) -> None:
    text = file.read_text()
    file.write_text(re.sub(r'"at":([\d.]+)', lambda m: f'"at":{float(m[1]) - 3600 * hours}', text))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://[::1",
        "gopher://x/",
        "",
        "http://",
        "http://a b/",
        "http://a..b/",
        "x" * 9999,
    ],
)
def test_a_url_that_is_none_is_an_unknown_platform(url: str) -> None:
    platform = replace(NOWHERE, capabilities=url, availability=url)
    assert status.ask_all([platform], patience=5) == {}


def test_one_that_answers_without_end_is_not_waited_for(
    answering: Answering,
) -> None:
    """Each byte comes in time, the last one never."""
    url = answering(lambda _path: Said("<a>" + " " * 10_000, pace=0.05))
    slow = replace(NOWHERE, availability=url)
    before = time.monotonic()
    assert status.ask_all([slow], patience=0.5) == {}
    assert time.monotonic() - before < 5
