"""From a client's POST to its result and back to nothing, with nothing imitated."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pyvo
import requests
from lxml import etree

from tests.conftest import Serve
from tests.serving import Server, descendants, finished, wait_until
from uwsd.schemas import validate
from uwsd.uws.documents import UWS

pytestmark = pytest.mark.both_databases

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def create(joblist: str, **parameters: str) -> str:
    """Make a job; return its URL."""
    answer = requests.post(joblist, data=parameters, allow_redirects=False, timeout=60)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def is_executing(job: str) -> bool:
    return requests.get(f"{job}/phase", timeout=60).text == "EXECUTING"


def document(job: str, **query: str) -> etree._Element:
    """Read a job's document, which is valid in whatever phase it is."""
    answer = requests.get(job, params=query, timeout=60)
    assert answer.status_code == 200, answer.text
    validate(answer.content)
    return etree.fromstring(answer.content)


def said(root: etree._Element, name: str) -> str | None:
    return root.findtext(f".//{{{UWS}}}{name}")


def test_a_job_from_creation_to_deletion(demo: str) -> None:
    text = "a<b>&'\"é\r\n𝔘 $(id) {TEXT} --x\t"
    job = create(demo, TEXT=text, RUNID="mine")
    assert said(document(job), "phase") == "PENDING"
    answer = requests.post(f"{job}/phase", {"PHASE": "RUN"}, allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (303, job)
    assert finished(job) == "COMPLETED"
    root = document(job)
    assert said(root, "runId") == "mine"
    result = requests.get(f"{job}/results/result", timeout=60)
    assert result.content == text.encode()
    assert result.headers["Content-Type"] == "text/plain"
    assert b"done" in requests.get(f"{job}/results/stdout", timeout=60).content
    sizes = {r.get("id"): r.get("size") for r in root.iter(f"{{{UWS}}}result")}
    assert sizes["result"] == str(len(text.encode()))
    assert next(iter(sizes)) == "result"
    answer = requests.delete(job, allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (303, demo)
    assert requests.get(job, timeout=60).status_code == 404
    assert requests.get(f"{job}/results/result", timeout=60).status_code == 404


def test_every_document_and_leaf_of_a_job_in_each_phase(demo: str, server: Server) -> None:
    pending = create(demo)
    running = create(demo, SECONDS="60", PHASE="RUN")
    wait_until(partial(is_executing, running))
    failed = create(demo, EXIT="3", PHASE="RUN")
    completed = create(demo, PHASE="RUN")
    aborted = create(demo)
    requests.post(f"{aborted}/phase", {"PHASE": "ABORT"}, timeout=60)
    phases = {
        pending: "PENDING",
        running: "EXECUTING",
        failed: finished(failed),
        completed: finished(completed),
        aborted: "ABORTED",
    }
    assert list(phases.values()) == ["PENDING", "EXECUTING", "ERROR", "COMPLETED", "ABORTED"]
    for job, phase in phases.items():
        root = document(job)
        assert said(root, "phase") == phase
        for name in ("results", "parameters"):
            answer = requests.get(f"{job}/{name}", timeout=60)
            assert answer.headers["Content-Type"].startswith("text/xml")
            validate(answer.content)
        leaves = {
            "phase": phase,
            "executionduration": said(root, "executionDuration"),
            "destruction": said(root, "destruction"),
            "quote": "",
            "owner": "",
        }
        for name, value in leaves.items():
            answer = requests.get(f"{job}/{name}", timeout=60)
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert answer.text == value
        assert requests.get(f"{job}/error", timeout=60).ok is (phase == "ERROR")
    assert "exit status 3" in str(said(document(failed), "message"))
    assert said(document(aborted), "endTime")
    listed = requests.get(demo, timeout=60)
    validate(listed.content)
    refs = etree.fromstring(listed.content)
    assert {r.get("id") for r in refs} >= {job.rpartition("/")[2] for job in phases}
    requests.delete(running, timeout=60)


def test_abort_shows_in_the_redirect_and_ends_the_process(demo: str) -> None:
    job = create(demo, TEXT=(marker := f"marker{time.time_ns()}"), SECONDS="300", PHASE="RUN")
    wait_until(lambda: "taking" in requests.get(f"{job}/results/stdout", timeout=60).text)
    assert processes_with(marker)
    answer = requests.post(f"{job}/phase", {"PHASE": "ABORT"}, timeout=60)
    root = etree.fromstring(answer.content)
    assert said(root, "phase") == "ABORTED"
    assert said(root, "endTime")
    wait_until(lambda: not processes_with(marker))
    wait_until(lambda: all(r.get("size") for r in document(job).iter(f"{{{UWS}}}result")))
    assert requests.get(f"{job}/results/stdout", timeout=60).text.startswith("taking 300 s")


def processes_with(marker: str) -> list[Path]:
    """Return the processes that have a marker among their arguments."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in cmdline.read_bytes():
                found.append(cmdline)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_at_the_destruction_time_everything_is_gone(demo: str, server: Server) -> None:
    job = create(demo, TEXT=(marker := f"marker{time.time_ns()}"), SECONDS="300", PHASE="RUN")
    wait_until(lambda: processes_with(marker))
    soon = (datetime.now(UTC) + timedelta(seconds=4)).strftime("%Y-%m-%dT%H:%M:%SZ")
    requests.post(f"{job}/destruction", {"DESTRUCTION": soon}, timeout=60)
    assert said(document(job), "destruction") == soon.replace("Z", ".000Z")
    wait_until(lambda: requests.get(job, timeout=60).status_code == 404)
    wait_until(lambda: not processes_with(marker))
    wait_until(lambda: not (server.data / "jobs" / job.rpartition("/")[2]).exists())


def test_a_job_that_takes_too_long_is_aborted(demo: str) -> None:
    job = create(demo, SECONDS="300", EXECUTIONDURATION="1", PHASE="RUN")
    assert finished(job) == "ABORTED"
    assert "1 s" in str(said(document(job), "message"))


def test_a_running_job_can_be_given_more_time(demo: str) -> None:
    job = create(demo, SECONDS="4", EXECUTIONDURATION="2", PHASE="RUN")
    requests.post(f"{job}/executionduration", {"EXECUTIONDURATION": "60"}, timeout=60)
    assert finished(job) == "COMPLETED"


def test_limits_of_the_service_hold(demo: str) -> None:
    job = create(demo, EXECUTIONDURATION="0", DESTRUCTION="2999-01-01")
    limit = int(str(said(document(job), "executionDuration")))
    assert limit > 0
    requests.post(f"{job}/executionduration", {"EXECUTIONDURATION": "99999999999"}, timeout=60)
    assert said(document(job), "executionDuration") == str(limit)
    assert str(said(document(job), "destruction")) < "2100"


@pytest.mark.parametrize("how", ["part", "upload", "text", "put"])
def test_checksum_takes_a_file_by_value(server: Server, how: str) -> None:
    joblist = f"{server.url}/checksum/async"
    content = bytes(range(256)) * 1000 if how != "text" else "ünïcode\r\n".encode()
    match how:
        case "part":
            job = requests.post(joblist, files={"FILE": ("../../x", content)}, timeout=60).url
        case "upload":
            form = {"UPLOAD": "FILE,param:this"}
            job = requests.post(joblist, data=form, files={"this": content}, timeout=60).url
            assert requests.get(f"{job}/parameters/this", timeout=60).content == content
        case "text":
            job = requests.post(joblist, data={"FILE": content.decode()}, timeout=60).url
        case _:
            job = requests.post(joblist, data={"FILE": "first"}, timeout=60).url
            assert requests.put(f"{job}/parameters/file", data=content, timeout=60).ok
    if how != "text":
        sent = requests.get(f"{job}/parameters/FILE", timeout=60)
        assert sent.content == content
        assert sent.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert 'byReference="true"' in requests.get(job, timeout=60).text
    requests.post(f"{job}/phase", {"PHASE": "RUN"}, timeout=60)
    assert finished(job) == "COMPLETED"
    expected = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    assert requests.get(f"{job}/results/result", timeout=60).json() == expected


def test_a_file_at_a_private_address_is_not_fetched(server: Server) -> None:
    job = create(f"{server.url}/checksum/async", FILE=f"{server.url}/healthz", PHASE="RUN")
    assert finished(job) == "ERROR"
    assert "healthz" not in str(said(document(job), "message"))


def test_two_hundred_runs_at_once_start_one_job(demo: str, server: Server) -> None:
    job = create(demo, TEXT="once")

    def run(_: int) -> int:
        answer = requests.post(f"{job}/phase", {"PHASE": "RUN"}, allow_redirects=False, timeout=60)
        return answer.status_code

    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(run, range(200)))
    assert sorted(codes) == [303] + [403] * 199
    assert finished(job) == "COMPLETED"
    assert requests.get(f"{job}/results/stdout", timeout=60).text.count("taking") == 1


def test_wait_ends_with_the_change_and_not_before(demo: str) -> None:
    job = create(demo)
    began = time.monotonic()
    document(job, WAIT="1")
    assert 1 <= time.monotonic() - began < 10
    began = time.monotonic()
    document(job, WAIT="30", PHASE="QUEUED")
    document(job, wait="0")
    assert time.monotonic() - began < 10
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(document, job, WAIT="-1", phase="PENDING")
        requests.post(f"{job}/phase", {"PHASE": "RUN"}, timeout=60)
        assert said(waiter.result(20), "phase") != "PENDING"


def test_ranges_and_heads_of_results(demo: str) -> None:
    job = create(demo, TEXT="0123456789", PHASE="RUN")
    assert finished(job) == "COMPLETED"
    result = f"{job}/results/result"
    partly = requests.get(result, headers={"Range": "bytes=3-5"}, timeout=60)
    assert (partly.status_code, partly.text) == (206, "345")
    head = requests.head(result, timeout=60)
    assert (head.headers["Content-Length"], head.content) == ("10", b"")
    beyond = requests.get(result, headers={"Range": "bytes=99-"}, timeout=60)
    assert beyond.status_code == 416


def test_the_log_can_be_read_while_it_is_written(demo: str) -> None:
    job = create(demo, SECONDS="60", PHASE="RUN")
    log = f"{job}/results/stdout"
    wait_until(lambda: "s to go" in requests.get(log, timeout=60).text)
    assert requests.get(f"{job}/phase", timeout=60).text == "EXECUTING"
    requests.delete(job, timeout=60)


def test_pyvo_drives_a_job(server: Server) -> None:
    session = requests.Session()
    answer = session.post(f"{server.url}/demo/async", data={"TEXT": "pyvo"}, timeout=60)
    job = pyvo.dal.AsyncTAPJob(answer.url, session=session)
    job.run().wait(timeout=60)
    job.raise_if_error()
    assert session.get(job.result_uri, timeout=60).text == "pyvo"
    assert {result.id_ for result in job.results} == {"result", "stdout", "stderr"}
    job.delete()
    assert session.get(answer.url, timeout=60).status_code == 404
    session.close()


def test_uwsd_submit_waits_and_downloads(server: Server, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "uwsd", "submit", f"{server.url}/demo", "TEXT=cli")
    done = subprocess.run(
        (*command, "--wait", "--download", str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "result.txt").read_text() == "cli"
    assert urlsplit(done.stdout.split()[0]).path.startswith("/demo/async/")
    failed = subprocess.run(
        (*command, "EXIT=4", "--wait"), capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert "exit status 4" in failed.stderr


def test_a_browser_gets_pages_and_can_do_everything(demo: str, server: Server) -> None:
    job = create(demo, TEXT="<script>alert(1)</script>", RUNID="<b>")
    for url in (server.url, f"{server.url}/demo", demo, job):
        page = requests.get(url, headers=BROWSER, timeout=60)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<script>" not in page.text
        assert "<b>" not in page.text
    for action in (f"{job}/phase", f"{job}/destruction", f"{job}/executionduration", job):
        assert f'action="{action}"' in requests.get(job, headers=BROWSER, timeout=60).text
    assert f'action="{job}/parameters"' in requests.get(job, headers=BROWSER, timeout=60).text
    # How a browser sends the form, and in it a file that was not chosen.
    form = {"TEXT": "new", "RUNID": ""}
    nothing = {"FILE": ("", b"", "application/octet-stream")}
    requests.post(f"{job}/parameters", form, files=nothing, timeout=60)
    changed = requests.get(job, headers=BROWSER, timeout=60).text
    assert '<input name="TEXT" value="new">' in changed
    assert '<input name="RUNID" maxlength="64" value="">' in changed
    requests.post(f"{job}/phase", {"PHASE": "ABORT"}, timeout=60)
    assert f'action="{job}/parameters"' not in requests.get(job, headers=BROWSER, timeout=60).text
    java = {"Accept": "text/html, image/gif, image/jpeg, */*; q=0.2"}
    assert requests.get(job, headers=java, timeout=60).content.startswith(b"<?xml")


@pytest.fixture
def mortal(serve: Serve, tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    with serve(tmp_path / "data") as server:
        yield server


def test_jobs_outlive_a_server_that_is_killed(mortal: Server) -> None:
    demo = f"{mortal.url}/demo/async"
    jobs = [create(demo, TEXT=f"{n}", SECONDS="3", EXIT=f"{n}", PHASE="RUN") for n in range(5)]
    for job in jobs:
        wait_until(partial(is_executing, job))
    mortal.kill()
    mortal.start()
    assert [finished(job) for job in jobs] == ["COMPLETED"] + ["ERROR"] * 4
    for number, job in enumerate(jobs):
        assert requests.get(f"{job}/results/result", timeout=60).text == f"{number}"
        if number:
            assert f"exit status {number}" in requests.get(f"{job}/error", timeout=60).text
        log = requests.get(f"{job}/results/stdout", timeout=60).text
        assert (log.count("taking"), log.count("done")) == (1, 1)


def test_jobs_outlive_a_server_that_is_stopped(mortal: Server) -> None:
    job = create(f"{mortal.url}/demo/async", TEXT="kept", SECONDS="3", PHASE="RUN")
    wait_until(partial(is_executing, job))
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(requests.get, job, params={"WAIT": "60"}, timeout=60)
        assert mortal.stop() == 0
        assert waiter.result(10).status_code == 200, "an open WAIT is answered, not cut"
    mortal.start()
    assert finished(job) == "COMPLETED"
    assert requests.get(f"{job}/results/result", timeout=60).text == "kept"


def test_a_second_server_on_one_data_folder_is_refused(mortal: Server) -> None:
    environment = {"UWSD_DATA": str(mortal.data), "UWSD_PORT": "0", "PATH": "/usr/bin:/bin"}
    second = subprocess.run(
        (sys.executable, "-m", "uwsd", "serve"),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "is in use by another uwsd" in second.stderr
    assert requests.get(f"{mortal.url}/healthz", timeout=60).ok


def test_a_child_that_dies_is_started_again(mortal: Server) -> None:
    assert mortal.process is not None
    parent = mortal.process.pid
    victims = descendants(parent)
    subprocess.run(["kill", "-9", *map(str, victims)], check=True)
    wait_until(lambda: len(set(descendants(parent)) - set(victims)) >= 3)
    job = create(f"{mortal.url}/demo/async", PHASE="RUN")
    assert finished(job) == "COMPLETED"
