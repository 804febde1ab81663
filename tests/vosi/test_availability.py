"""``/availability`` and draining, on a real site."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from lxml import etree

from tests.serving import Server, descendants, finished, wait_until
from uwsd.schemas import validate
from uwsd.vosi.documents import AVAILABILITY

CONFIG = """
[services.good]
command = ["/bin/sleep", "{SECONDS}"]
parameters.SECONDS = { type = "real", default = 0 }

[services.bad]
command = ["/bin/true"]
requires = ["{here}/nothing"]
hint = "make it"
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Server]:
    config = tmp_path / "uwsd.toml"
    config.write_text(CONFIG)
    # One web process: each remembers for a moment how the site was.
    one = {"UWSD_SERVER__WORKERS": "1", "UWSD_SUPERVISOR__TICK": "0.1"}
    server = Server(tmp_path / "data", config, **one).start()
    wait_until(lambda: told(server)["available"] == ["true"])
    yield server
    server.stop()


def told(site: Server, path: str = "") -> dict[str, list[str]]:
    """Return what a valid availability document says, by element."""
    answer = requests.get(f"{site.url}{path}/availability", auth=("no", "body"), timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    validate(answer.content)
    said: dict[str, list[str]] = {}
    for child in etree.fromstring(answer.content):
        said.setdefault(str(child.tag).removeprefix(f"{{{AVAILABILITY}}}"), []).append(
            child.text or ""
        )
    return said


def uwsd(site: Server, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "UWSD_DATA": str(site.data)}
    command = (sys.executable, "-m", "uwsd", *words)
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_a_site_that_works_says_since_when(site: Server) -> None:
    assert told(site).keys() == {"available", "upSince"}
    assert told(site, "/good") == told(site) == told(site, "/registry")
    assert told(site, "/bad") == {
        "available": ["false"],
        "note": ["the service bad is not complete here: make it"],
    }
    refused = requests.post(f"{site.url}/availability", timeout=60)
    assert refused.status_code == 405
    assert requests.get(f"{site.url}/none/availability", timeout=60).status_code == 404


def test_a_drained_site_takes_no_job_and_loses_none(site: Server) -> None:
    jobs = f"{site.url}/good/async"
    running = requests.post(jobs, {"SECONDS": "1", "PHASE": "RUN"}, timeout=60).url
    pending = requests.post(jobs, {}, timeout=60).url
    note = "the pumps are being <b>changed</b> & more"
    uwsd(site, "drain", "--until", "2099-01-01", "--note", note)
    assert told(site)["available"] == told(site, "/good")["available"] == ["false"]
    assert told(site)["backAt"] == ["2099-01-01T00:00:00Z"]
    assert told(site)["note"] == [note]
    assert told(site).keys() == {"available", "downAt", "backAt", "note"}
    assert told(site, "/registry")["available"] == ["true"]
    for url in (jobs, f"{site.url}/good/sync"):
        refused = requests.post(url, {}, timeout=60)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 1000
        assert note in refused.text
    assert finished(running) == "COMPLETED"
    requests.post(f"{pending}/phase", {"PHASE": "RUN"}, timeout=60)
    assert finished(pending) == "COMPLETED"
    assert "taken again" in uwsd(site, "undrain")
    assert requests.post(jobs, {}, timeout=60).ok
    assert told(site)["available"] == ["true"]
    assert "all the time" in uwsd(site, "undrain")


def test_without_a_supervisor_it_is_not_available(site: Server) -> None:
    assert site.process is not None
    # Stopped, not killed: it would be started again.
    supervisors = [
        pid
        for pid in descendants(site.process.pid)
        if b"supervise" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    for pid in supervisors:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: told(site)["available"] == ["false"], patience=40)
        assert told(site)["note"] == ["no supervisor is at work"]
    finally:
        for pid in supervisors:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: told(site)["available"] == ["true"])
