"""DALI-sync over a real socket: a job, its end, and what its client hears of it."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from astropy.io.votable import parse
from lxml import etree
from pyvo.dal import DALQueryError, DALServiceError
from pyvo.dal.query import DALQuery

from tests.needs import need
from tests.serving import Server, finished, wait_until
from tests.test_bad_requests import REQUESTS, Bad, inventory, send
from tests.test_end_to_end import BROWSER, create, document, processes_with, said
from uwsd.worker.records import Records

HOSTILE = "\x00\x1b[31m ]]> </INFO><b>&amp;&nbsp; \r\n é𝔘 \u202e" + "x" * 9000
SITE = f"""
[services.print]
command = ["/bin/echo", "no result but this"]

[services.fail]
command = ["{{python}}", "-c", '''
import sys
sys.stderr.buffer.write({HOSTILE.encode() + bytes([255])!r})
sys.exit(3)
''']

[services.sleep]
command = ["/bin/sleep", "{{SECONDS}}"]
parameters.SECONDS = {{ type = "real", default = 60 }}

[services.absent]
command = ["{{here}}/absent"]
requires = ["{{here}}/absent"]

[services.table]
command = ["/bin/cp", "{{here}}/empty.vot", "empty.vot"]
results.result = {{ path = "empty.vot", media_type = "application/x-votable+xml" }}

[services.several]
capability = "function"
function = "several:several"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site with services that fail in every way, whose WAITs end after a second."""
    here = tmp_path_factory.mktemp("sync")
    (here / "uwsd.toml").write_text(SITE)
    (here / "several.py").write_text("def several():\n    return {'b': b'first', 'a': b'second'}\n")
    site = Server(here / "data", here / "uwsd.toml", UWSD_SERVER__MAX_WAIT="1").start()
    yield site
    assert site.stop() == 0, site.log
    assert "Traceback" not in site.log


@pytest.fixture
def sync(server: Server) -> str:
    return f"{server.url}/demo/sync"


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may stop."""
    server = Server(tmp_path / "data").start()
    yield server
    server.stop()


def job_of(answer: requests.Response) -> str:
    """Return the URL of the job that was run."""
    match = re.fullmatch(r"(.*/async/[0-9a-f-]{36})/\S+", answer.headers["Content-Location"])
    assert match
    return match[1]


def newest(server: Server, service: str) -> str:
    """Return the URL of the newest job, or nothing."""
    listed = requests.get(f"{server.url}/{service}/async", params={"LAST": "1"}, timeout=60)
    return "".join(re.findall(r'xlink:href="([^"]+)"', listed.text))


def running(server: Server, service: str, previous: str) -> str | None:
    """Return the URL of the newest job, once there is one after ``previous`` that runs."""
    job = newest(server, service)
    is_new = job and job != previous
    runs = is_new and requests.get(f"{job}/phase", timeout=60).text == "EXECUTING"
    return job if runs else None


def when_running(server: Server, service: str, previous: str) -> str:
    wait_until(lambda: running(server, service, previous))
    return newest(server, service)


def message_in(votable: bytes) -> str:
    """Return what the error document says; astropy finds nothing wrong with it."""
    (resource,) = parse(io.BytesIO(votable), verify="exception").resources
    (status,) = resource.infos
    assert (resource.type, status.name, status.value) == ("results", "QUERY_STATUS", "ERROR")
    return str(status.content)


# Success ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["get", "post", "multipart", "both"])
def test_the_answer_is_the_result_and_the_job_is_as_any_other(sync: str, how: str) -> None:
    form = {"TEXT": "a<b>é\r\n", "RUNID": "mine", "EXECUTIONDURATION": "7"}
    if how == "post":
        form["PHASE"] = "RUN"
    match how:
        case "get":
            answer = requests.get(sync, params=form, timeout=60)
        case "post":
            answer = requests.post(sync, data=form, timeout=60)
        case "multipart":
            parts = {name: (None, value) for name, value in form.items()}
            answer = requests.post(sync, files=parts, timeout=60)
        case _:
            answer = requests.post(sync, params=form, data=form, timeout=60)
    assert (answer.status_code, answer.history) == (200, [])
    assert answer.content == "a<b>é\r\n".encode()
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    root = document(job_of(answer))
    assert said(root, "phase") == "COMPLETED"
    assert (said(root, "runId"), said(root, "executionDuration")) == ("mine", "7")
    result = requests.get(answer.headers["Content-Location"], timeout=60)
    assert (result.status_code, result.content) == (200, answer.content)


@pytest.mark.parametrize("form", [{}, {"UPLOAD": "FILE,param:FILE"}])
def test_files_are_taken(server: Server, form: dict[str, str]) -> None:
    sync = f"{server.url}/checksum/sync"
    answer = requests.post(sync, data=form, files={"FILE": b"\x00" * 70000}, timeout=60)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["size"] == 70000


def test_a_range_is_not_for_what_is_made_anew_each_time(sync: str) -> None:
    answer = requests.get(sync, headers={"Range": "bytes=1-2"}, timeout=60)
    assert (answer.status_code, answer.text) == (200, "hello")
    assert "Accept-Ranges" not in answer.headers


@pytest.mark.parametrize(
    ("service", "content", "name"),
    [("print", b"no result but this\n", "stdout"), ("several", b"first", "result")],
)
def test_the_main_result_is_what_there_is(
    site: Server, service: str, content: bytes, name: str
) -> None:
    answer = requests.get(f"{site.url}/{service}/sync", timeout=60)
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["Content-Location"] == f"{job_of(answer)}/results/{name}"


def test_it_lasts_as_long_as_the_job_and_not_as_a_wait(site: Server) -> None:
    answer = requests.get(f"{site.url}/sleep/sync", params={"SECONDS": "3"}, timeout=60)
    assert (answer.status_code, answer.content) == (200, b"")


def test_fifty_at_once(site: Server) -> None:
    def ask(number: int) -> tuple[int, str]:
        service = ("print", "fail")[number % 2]
        answer = requests.get(f"{site.url}/{service}/sync", timeout=60)
        return answer.status_code, job_of(answer)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert [status for status, _ in answers] == [200, 400] * 25
    assert len({job for _, job in answers}) == 50


# Refusals --------------------------------------------------------------------------------------

CREATIONS = [
    replace(bad, request=bad.request.replace("/async", "/sync"))
    for bad in REQUESTS
    if re.match(r"POST /\w+/async(\?|$)", bad.request)
]


@pytest.mark.parametrize("bad", CREATIONS, ids=str)
def test_what_the_job_list_refuses_is_refused_here_in_the_same_words(
    server: Server, bad: Bad
) -> None:
    before = inventory(server)
    status, content = send(server, bad)
    assert (status, bad.says in content) == (bad.status, True), content
    assert "<" not in content, "a refusal is plain text"
    assert inventory(server) == before


def test_what_is_required_is_required(server: Server) -> None:
    answer = requests.get(f"{server.url}/checksum/sync", timeout=60)
    assert (answer.status_code, "FILE must be given" in answer.text) == (400, True)


def test_only_get_and_post_run_a_job(sync: str, server: Server) -> None:
    before = newest(server, "demo")
    for method in ("HEAD", "PUT", "DELETE"):
        answer = requests.request(method, sync, timeout=60)
        assert answer.status_code == 405
        assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
    assert requests.get(f"{server.url}/nosuch/sync", timeout=60).status_code == 404
    assert newest(server, "demo") == before


@pytest.mark.parametrize(
    ("service", "value", "refusal"),
    [
        ("table", "votable", ""),
        ("table", "application/x-votable+xml", ""),
        ("table", "Application/X-VOTable+XML", ""),
        ("table", "", ""),
        ("table", "text/xml", "takes application/x-votable+xml or votable, not 'text/xml'"),
        ("table", "application/x-votable+xml;serialization=binary2", "RESPONSEFORMAT takes"),
        ("table", "csv", "RESPONSEFORMAT takes"),
        ("print", "text", ""),
        ("print", "votable", "takes text/plain or text, not 'votable'"),
        ("several", "csv", ""),
    ],
)
def test_a_format_that_is_not_made_is_refused(
    site: Server, service: str, value: str, refusal: str
) -> None:
    joblist = f"{site.url}/{service}/async"
    answer = requests.post(joblist, data={"responseformat": value}, timeout=60)
    assert answer.status_code == (400 if refusal else 200)
    assert refusal in answer.text
    # What a function returns is known when it has; until then the wish is one that is not known.
    assert ("ignored" in answer.text) is (service == "several")


def test_one_format_can_be_asked_for(site: Server) -> None:
    query = [("RESPONSEFORMAT", "votable")] * 2
    answer = requests.get(f"{site.url}/table/sync", params=query, timeout=60)
    assert (answer.status_code, "one value" in answer.text) == (400, True)


# Failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "form", "status", "message"),
    [
        ("fail", {}, 400, "exit status 3"),
        ("sleep", {"EXECUTIONDURATION": "1"}, 409, "it was stopped when it had run for 1 s"),
        ("absent", {}, 500, "the service absent is not complete here"),
    ],
)
def test_a_failure_has_a_status_and_the_error_document(
    site: Server, service: str, form: dict[str, str], status: int, message: str
) -> None:
    answer = requests.post(f"{site.url}/{service}/sync", data=form, timeout=60)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/x-votable+xml"
    assert message_in(answer.content).startswith(message)
    error = requests.get(answer.headers["Content-Location"], timeout=60)
    assert (error.status_code, error.content) == (200, answer.content)
    assert str(said(document(job_of(answer)), "message")).startswith(message)


def kill_worker(site: Server, job: str) -> None:
    start = Records(site.data / "jobs" / job.rpartition("/")[2]).start()
    assert start
    os.kill(start.worker.pid, signal.SIGKILL)


def abort(_site: Server, job: str) -> None:
    requests.post(f"{job}/phase", {"PHASE": "ABORT"}, timeout=60)


def delete(_site: Server, job: str) -> None:
    requests.delete(job, timeout=60)


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        (abort, 409, "the job is ABORTED"),
        (kill_worker, 503, "its worker is gone"),
        (delete, 404, "it may have been deleted"),
    ],
)
def test_what_happens_to_the_job_meanwhile_is_told(
    site: Server, event: Callable[[Server, str], None], status: int, message: str
) -> None:
    previous = newest(site, "sleep")
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(requests.get, f"{site.url}/sleep/sync", timeout=60)
        event(site, when_running(site, "sleep", previous))
        answer = waiter.result(20)
    assert (answer.status_code, message in answer.text) == (status, True), answer.text
    assert ("Retry-After" in answer.headers) is (status == 503)


def test_a_server_that_stops_says_where_the_job_goes_on(mortal: Server) -> None:
    with ThreadPoolExecutor() as pool:
        sync = f"{mortal.url}/demo/sync"
        waiter = pool.submit(requests.get, sync, params={"SECONDS": "3"}, timeout=60)
        job = when_running(mortal, "demo", "")
        assert mortal.stop() == 0
        answer = waiter.result(10)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert job in answer.text
    mortal.start()
    assert finished(job) == "COMPLETED"


# A client that goes away -----------------------------------------------------------------------


def asking(server: Server, service: str, **form: str) -> socket.socket:
    """Return a connection on which a synchronous job has been asked for."""
    address = urlsplit(server.url)
    peer = socket.create_connection((str(address.hostname), int(address.port or 0)), 20)
    request = f"GET /{service}/sync?{urlencode(form)} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
    peer.sendall(request.encode())
    return peer


def test_a_job_whose_client_goes_away_is_aborted(server: Server) -> None:
    previous = newest(server, "demo")
    marker = f"marker{id(server)}"
    with asking(server, "demo", TEXT=marker, SECONDS="300"):
        job = when_running(server, "demo", previous)
        wait_until(lambda: processes_with(marker))
    assert finished(job) == "ABORTED"
    assert "the client of the synchronous request went away" in str(said(document(job), "message"))
    assert "went away" in requests.get(f"{job}/error", timeout=60).text
    wait_until(lambda: not processes_with(marker))


def test_a_client_that_closes_its_half_has_gone_too(server: Server) -> None:
    with asking(server, "demo", SECONDS="300") as peer:
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(65536).startswith(b"HTTP/1.1 409 ")


def test_a_client_that_sends_its_next_request_has_not_gone(server: Server) -> None:
    with asking(server, "demo", SECONDS="3") as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: ")
        peer.sendall(f"{urlsplit(server.url).netloc}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: peer.recv(65536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200"]
    assert answer.endswith(b"ok\n")


# The error document ----------------------------------------------------------------------------

VOTABLE, TEXT = "application/x-votable+xml", "text/plain; charset=utf-8"


@pytest.fixture(scope="module")
def failed(site: Server) -> str:
    """A job that has failed, and said what nobody should have to read."""
    job = create(f"{site.url}/fail/async", PHASE="RUN")
    assert finished(job) == "ERROR"
    return job


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        ("*/*", VOTABLE),
        (None, VOTABLE),
        ("text/html, image/gif, image/jpeg, */*; q=0.2", VOTABLE),
        ("application/x-votable+xml, text/plain", VOTABLE),
        ("application/json", VOTABLE),
        ("text/plain", TEXT),
        ("text/plain, */*;q=0.5", TEXT),
        (BROWSER["Accept"], TEXT),
    ],
)
def test_who_gets_text(failed: str, accepted: str | None, kind: str) -> None:
    for url in (f"{failed}/error", failed.rpartition("/async")[0] + "/sync"):
        # None: requests sends no such header.
        answer = requests.get(url, headers={"Accept": accepted}, timeout=60)
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Vary"].startswith("Accept,")
        content = answer.text if kind == TEXT else message_in(answer.content)
        assert content.startswith("exit status 3\n\nThe end of stderr:\n\n")


def test_what_a_command_says_last_is_legible_whatever_it_is(failed: str, tmp_path: Path) -> None:
    assert said(document(failed), "message") == "exit status 3"
    error = requests.get(f"{failed}/error", timeout=60).content
    assert len(error) < 8000
    content = etree.fromstring(error).findtext(".//{*}INFO")
    assert content is not None
    assert content.endswith("x" * 4000 + "\ufffd")
    need("stilts", "apt-get install stilts")
    (tmp_path / "error.vot").write_bytes(error)
    command = ("stilts", "votlint", "votable=error.vot")
    lint = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (lint.stdout, lint.stderr) == ("", "")


# Clients ---------------------------------------------------------------------------------------


def test_pyvo_asks_and_hears_why_not(sync: str) -> None:
    assert DALQuery(sync, TEXT="pyvo").execute_raw() == b"pyvo"
    with pytest.raises(DALQueryError, match=r"^exit status 3$"):
        DALQuery(sync, EXIT="3").execute()
    with pytest.raises(DALServiceError, match="EXIT takes an integer"):
        DALQuery(sync, EXIT="x").execute()


@pytest.mark.parametrize(
    ("query", "message"), [("EXIT=3", "Error: exit status 3"), ("EXIT=x", "EXIT takes an integer")]
)
def test_stilts_hears_why_not(sync: str, query: str, message: str) -> None:
    need("stilts", "apt-get install stilts")
    urls = f"tapurl={sync.removesuffix('/sync')}", f"syncurl={sync}?{query}"
    command = ("stilts", "tapquery", *urls, "sync=true", "adql=x")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert message in done.stderr


def test_uwsd_shows_the_error_as_text(site: Server) -> None:
    job = create(f"{site.url}/absent/async", PHASE="RUN")
    finished(job)
    done = subprocess.run(
        (sys.executable, "-m", "uwsd", "logs", job), capture_output=True, text=True, check=False
    )
    assert re.fullmatch(r"the service absent is not complete here: .*\n", done.stdout)


def test_a_page_has_a_button_for_it(server: Server) -> None:
    page = requests.get(f"{server.url}/checksum", headers=BROWSER, timeout=60).text
    assert f'<button formaction="{server.url}/checksum/sync">' in page
    assert f"curl -s -F FILE=@your.file {server.url}/checksum/sync" in page
