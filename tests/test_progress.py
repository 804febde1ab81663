"""What a job says of its progress reaches those who look, and wakes nobody who waits."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from lxml import etree

from tests.serving import Server, finished, wait_until
from uwsd.schemas import validate
from uwsd.uws.documents import JOB_INFO, UWS

BROWSER = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose supervisor looks around once a minute, if nothing happens."""
    folder = tmp_path_factory.mktemp("slow")
    server = Server(
        folder / "data",
        UWSD_SUPERVISOR__TICK="60",
        UWSD_BACKENDS__LOCAL__TYPE="local",
        UWSD_BACKENDS__LOCAL__SLOTS="1",
    ).start()
    yield server
    server.stop()


def info(job: str) -> dict[str, str]:
    answer = requests.get(job, timeout=60)
    validate(answer.content)
    elements = etree.fromstring(answer.content).iterfind(f"{{{UWS}}}jobInfo/{{{JOB_INFO}}}*")
    return {etree.QName(e).localname: e.text or "" for e in elements}


def test_progress_is_seen_within_seconds_and_gone_at_the_end(slow: Server) -> None:
    form = {"SECONDS": "120", "PHASE": "RUN"}
    job, waits = (requests.post(f"{slow.url}/demo/async", form, timeout=60).url for _ in "ab")
    wait_until(lambda: "progress" in info(job))
    first = info(job)
    assert first["activity"] == "taking 120 s"
    assert {"backend", "host", "process"} <= first.keys()
    began = time.monotonic()
    requests.get(job, params={"WAIT": "3", "PHASE": "EXECUTING"}, timeout=60)
    assert time.monotonic() - began >= 3, "progress is no reason to answer"
    assert 0 < float(first["progress"]) + 0.008 < float(info(job)["progress"]) < 1
    page = requests.get(job, headers=BROWSER, timeout=60).text
    assert '<progress max="1" value="0.' in page
    assert "% taking 120 s" in page
    assert info(waits)["message"] == "it waits for the only slot, it is the next"
    assert "it waits for the only slot" in requests.get(waits, headers=BROWSER, timeout=60).text
    for each in (waits, job):
        requests.post(f"{each}/phase", {"PHASE": "ABORT"}, timeout=60)
    assert finished(job) == "ABORTED"
    assert info(job).keys() == {"backend", "host", "process"}
    assert info(waits) == {}


def test_a_function_tells_its_progress_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, time, pathlib\n"
        "def slow():\n"
        "    pathlib.Path(os.environ['UWSD_PROGRESS']).write_text('50% <b>half</b>')\n"
        "    time.sleep(60)\n"
    )
    config = tmp_path / "uwsd.toml"
    config.write_text('[services.f]\ncapability = "function"\nfunction = "mine:slow"\n')
    server = Server(tmp_path / "data", config).start()
    job = requests.post(f"{server.url}/f/async", {"PHASE": "RUN"}, timeout=60).url
    wait_until(lambda: info(job).get("activity") == "<b>half</b>")
    assert "<b>" not in requests.get(job, headers=BROWSER, timeout=60).text
    requests.delete(job, timeout=60)
    server.stop()
