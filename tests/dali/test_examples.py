"""DALI-examples: machines find the values, people read them, and each of them runs."""

import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
import pyvo
import requests

from tests.needs import need
from tests.serving import Server, finished

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
NASTY = "<script>&\"' ]]> é 𝔘"
CONFIG = f"""[services.quiet]
command = ["true"]
[services.nasty]
command = ["echo", "--a={{A}}", "{{B}}"]
title = '''{NASTY}'''
parameters.A = {{ type = "string" }}
parameters.B = {{ type = "integer", repeatable = true }}
[services.nasty.examples.one]
title = '''{NASTY}'''
description = '''{NASTY}'''
parameters = {{ a = '''{NASTY}\n two''', B = [1, 2] }}
"""


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("nasty")
    (folder / "uwsd.toml").write_text(CONFIG)
    server = Server(folder / "data", folder / "uwsd.toml").start()
    yield server
    server.stop()


def read(url: str) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return name and parameters of each example, as DALI 1.2 section 2.3 says to find them."""
    answer = requests.get(url, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/xhtml+xml; charset=utf-8"
    root = ET.fromstring(answer.content)
    assert root.tag == "{http://www.w3.org/1999/xhtml}html"
    (vocabulary,) = root.findall(".//*[@vocab]")
    assert vocabulary.get("vocab") == "http://www.ivoa.net/rdf/examples#"
    found = {}
    for example in vocabulary.findall(".//*[@typeof='example']"):
        assert example.get("resource") == f"#{example.get('id')}"
        (name,) = texts(example, "name")
        assert texts(example, "capability") == ["ivo://ivoa.net/std/UWS#rest-1.1"]
        pairs = example.findall(".//*[@property='generic-parameter'][@typeof='keyval']")
        found[example.get("id", "")] = (
            name,
            [(texts(pair, "key")[0], texts(pair, "value")[0]) for pair in pairs],
        )
    assert all(element.get("href") is None for element in root.findall(".//*[@property]"))
    return found


def texts(element: ET.Element, name: str) -> list[str]:
    found = element.findall(f".//*[@property='{name}']")
    assert all(len(each) == 0 for each in found), "plain text"
    return [each.text or "" for each in found]


@pytest.mark.parametrize(
    ("service", "example", "phase"),
    [
        ("demo", "hello", "COMPLETED"),
        ("demo", "failure", "ERROR"),
        ("checksum", "text", "COMPLETED"),
    ],
)
def test_an_example_runs_as_it_is_written(
    server: Server, service: str, example: str, phase: str
) -> None:
    _, parameters = read(f"{server.url}/{service}/examples")[example]
    form = [*parameters, ("PHASE", "RUN")]
    job = requests.post(f"{server.url}/{service}/async", form, timeout=60).url
    assert finished(job) == phase


@pytest.mark.parametrize("service", ["demo", "checksum", "sed"])
def test_clients_read_them(server: Server, service: str) -> None:
    assert read(f"{server.url}/{service}/examples")
    assert pyvo.dal.TAPService(f"{server.url}/{service}").examples == [], "none has an ADQL query"
    page = requests.get(f"{server.url}/{service}", headers=BROWSER, timeout=60).text
    assert f'href="{server.url}/{service}/examples"' in page


def test_stilts_finds_only_that_they_are_no_queries(server: Server) -> None:
    need("stilts", "apt-get install stilts")
    url = f"{server.url}/demo"
    command = ["stilts", "taplint", f"tapurl={url}", "interface=tap1.1", "stages=CPV EXA"]
    done = subprocess.run([*command, "format=json"], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    errors = [
        report["text"]
        for section in said["sections"]
        for report in section["reports"]
        if report["level"] in ("ERROR", "WARNING")
    ]
    assert all("has no query text" in error for error in errors), errors
    assert len(errors) == 3


def test_a_service_without_examples_has_no_such_document(nasty: Server) -> None:
    for service in ("quiet", "none"):
        assert requests.get(f"{nasty.url}/{service}/examples", timeout=60).status_code == 404
    for service, count in {"quiet": 0, "nasty": 1}.items():
        capabilities = requests.get(f"{nasty.url}/{service}/capabilities", timeout=60).text
        assert capabilities.count('standardID="ivo://ivoa.net/std/DALI#examples"') == count
    assert "/examples" not in requests.get(f"{nasty.url}/quiet", headers=BROWSER, timeout=60).text


def test_what_an_author_writes_is_text_and_nothing_else(nasty: Server) -> None:
    expected = [("a", f"{NASTY}\n two"), ("B", "1"), ("B", "2")]
    assert read(f"{nasty.url}/nasty/examples") == {"one": (NASTY, expected)}
    page = requests.get(f"{nasty.url}/nasty", headers=BROWSER, timeout=60).text
    assert "<script>" not in page
    assert '<input type="hidden" name="B" value="2">' in page
