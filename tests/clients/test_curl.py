"""curl: the recipes that people paste into a shell, and what other programs send, byte for byte."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from lxml import etree

from tests.needs import need
from tests.serving import Server, finished
from uwsd.schemas import validate

pytestmark = pytest.mark.both_databases

JAVA_17 = "Accept: text/html, image/gif, image/jpeg, */*; q=0.2"
JAVA_25 = "Accept: */*"
BROWSER = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def curl(*arguments: str) -> str:
    """Run curl, which reads no file of the user's; return what it prints."""
    command = need("curl", "apt-get install curl"), "--disable", "--silent", "--show-error"
    done = subprocess.run(
        (*command, *arguments), capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(what: str, *arguments: str) -> str:
    """Return what curl knows of an answer, such as its status, and not the answer."""
    return curl(*arguments, "-o", os.devnull, "-w", what)


def create(joblist: str, *arguments: str) -> str:
    """Make a job; return its URL."""
    status, _, job = told("%{http_code} %{redirect_url}", *arguments, joblist).partition(" ")
    assert status == "303"
    return job


def test_create_follow_wait_and_fetch(demo: str) -> None:
    document = curl("-L", "-d", "TEXT=a", "-d", "PHASE=RUN", demo).encode()
    validate(document)
    job = f"{demo}/{etree.fromstring(document).findtext('{*}jobId')}"
    curl(f"{job}?WAIT=30&PHASE=QUEUED")
    curl(f"{job}?WAIT=30&PHASE=EXECUTING")
    assert curl(f"{job}/phase") == "COMPLETED"
    assert curl(f"{job}/results/result") == "a"
    assert create(job, "-X", "DELETE") == demo
    assert told("%{http_code}", job) == "404"


def test_a_post_that_is_repeated_at_the_job_is_told_what_to_do(demo: str) -> None:
    """`-X POST` makes curl say POST again where the 303 means GET."""
    said = curl("-X", "POST", "-L", "-d", "TEXT=a", "-w", "%{http_code}", demo)
    assert said.endswith("400")
    assert "ACTION=DELETE" in said


@pytest.mark.parametrize("accept", [JAVA_17, JAVA_25, "Accept: text/plain", "Accept: text/html"])
def test_xml_for_whoever_is_no_browser(demo: str, accept: str) -> None:
    for url in (demo, create(demo, "-d", "TEXT=a")):
        assert curl("-H", accept, url).startswith("<?xml")
        assert told("%{content_type}", "-H", accept, url).startswith("text/xml")
        assert told("%{content_type}", "-H", BROWSER, url).startswith("text/html")


def test_files_ranges_and_heads(server: Server, demo: str, tmp_path: Path) -> None:
    file, part = tmp_path / "a;b.bin", tmp_path / "part"
    file.write_bytes(bytes(range(256)) * 4096)
    form = "-F", f'FILE=@"{file}"', "-F", "PHASE=RUN"
    job = create(f"{server.url}/checksum/async", *form)
    assert finished(job) == "COMPLETED"
    assert hashlib.sha256(file.read_bytes()).hexdigest() in curl(f"{job}/results/result")
    sent = f"{job}/parameters/FILE"
    assert curl("-r", "256-511", "-o", str(part), "-w", "%{http_code}", sent) == "206"
    assert part.read_bytes() == bytes(range(256))
    curl("-C", "-", "-o", str(part), sent)
    assert part.read_bytes() == file.read_bytes()
    assert f"content-length: {file.stat().st_size}" in curl("-I", sent).lower()
    for url in (demo, job, f"{job}/phase", f"{server.url}/demo/capabilities"):
        assert curl("-I", url).startswith("HTTP/1.1 200")


def test_urls_with_slashes_too_many(demo: str) -> None:
    job = create(demo.replace("/demo/async", "//demo//async/"), "-d", "TEXT=a")
    assert job.startswith(f"{demo}/")
    assert create(f"{job}/phase/", "-d", "PHASE=ABORT") == job
    assert curl(f"{job}//phase") == "ABORTED"
