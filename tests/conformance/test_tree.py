"""The tree of resources, and which methods each takes (UWS 2.2, 2.2.1, 2.2.3; RFC 9110)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import requests

from tests.conformance.asking import (
    NOBODY,
    Service,
    ask,
    document,
    exchange,
    get,
    is_redirect,
    parameters,
    post,
    said,
)
from tests.serving import finished

READ = {"GET", "HEAD", "OPTIONS"}
METHODS = {
    "": READ | {"POST", "DELETE"},
    "/phase": READ | {"POST"},
    "/destruction": READ | {"POST"},
    "/executionduration": READ | {"POST"},
    "/quote": READ,
    "/owner": READ,
    "/error": READ,
    "/results": READ,
    "/results/stdout": READ,
    "/parameters": READ | {"POST"},
    "/parameters/{name}": READ | {"PUT"},
}
EVERY = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")
LEAVES = [path for path in METHODS if path and "stdout" not in path]


def test_names_are_lower_case_and_below_the_job(service: Service) -> None:
    """UWS 2.2.1."""
    job = service.pending()
    for path in METHODS.keys() - {"/results/stdout", "/error"}:
        assert get(job + path.format(name=service.changed[0])).status_code == 200, path
    for path in (
        "/executionDuration",
        "/Phase",
        "/PARAMETERS",
        "/jobId",
        "/runid",
        "/creationtime",
    ):
        assert get(job + path).status_code == 404, path


def test_what_is_not_there_is_404(service: Service) -> None:
    """UWS 2.2, DALI 5.2."""
    for job in (f"{service.joblist}/{NOBODY}", f"{service.joblist}/none", f"{service.url}/async2"):
        for path in METHODS:
            assert get(job + path.format(name="a")).status_code == 404, path
    job = service.pending()
    for path in ("/error", "/results/result", "/results/none", "/parameters/none", "/phase/none"):
        assert get(job + path).status_code == 404, path
    assert is_redirect(ask("DELETE", job), service.joblist)
    for method in EVERY:
        assert ask(method, job).status_code in (404, 405), method


def test_the_location_of_a_job_ends_with_its_id(service: Service) -> None:
    """UWS 2.2.1: one segment, as it is; STILTS reads the URL, uws-client strips a scheme from it."""
    job = service.pending()
    parts = urlsplit(job)
    assert (f"{parts.scheme}://{parts.netloc}", parts.query) == (
        service.url.rpartition("/")[0],
        "",
    )
    job_id = job.removeprefix(f"{service.joblist}/")
    assert re.fullmatch("[0-9a-f-]+", job_id)
    assert said(document(job), "jobId") == job_id


def test_each_resource_takes_its_methods_and_no_other(service: Service) -> None:
    """RFC 9110 section 15.5.6: 405 tells with Allow what there is; nothing is changed."""
    job = service.started()
    finished(job)
    before = get(job).content
    resources = {service.joblist: READ | {"POST"}}
    resources |= {job + p.format(name=service.changed[0]): m for p, m in METHODS.items()}
    for url, methods in resources.items():
        options = ask("OPTIONS", url)
        assert options.status_code == 200, url
        assert set(options.headers["Allow"].split(", ")) == methods, url
        for method in set(EVERY) - methods:
            refused = ask(method, url)
            assert refused.status_code == 405, (method, url)
            assert set(refused.headers["Allow"].split(", ")) == methods, url
    assert get(job).content == before


def test_head_is_get_without_the_body(service: Service) -> None:
    """RFC 9110 section 9.3.2."""
    jobs = {finished(job): job for job in (service.started(), service.failed())}
    assert jobs.keys() == {"COMPLETED", "ERROR"}
    urls = [service.joblist, f"{service.joblist}?PHASE=ERROR", f"{service.joblist}?LAST=0"]
    for job in jobs.values():
        urls += [job + path.format(name=service.changed[0]) for path in METHODS]
        urls += [f"{job}/results/result", f"{job}/results/none"]
    for url in urls:
        whole, head = get(url), ask("HEAD", url)
        assert head.content == b""
        assert head.status_code == whole.status_code, url
        # Only how the body comes may differ.
        for headers in (whole.headers, head.headers):
            headers.pop("Date")
            headers.pop("Transfer-Encoding", None)
        assert dict(head.headers) == dict(whole.headers), url


def test_reading_changes_nothing(service: Service) -> None:
    """RFC 9110 section 9.2.1."""
    job = service.pending()
    before = get(job).content
    query = {"PHASE": "RUN", "ACTION": "DELETE", "DESTRUCTION": "2030-01-01", "RUNID": "x"}
    for path in ("", "/phase", "/destruction", "/parameters", "/results"):
        assert get(job + path, params=query).status_code == 200
    assert get(service.joblist, params={"ACTION": "DELETE", "TEXT": "a"}).status_code == 200
    assert get(job).content == before


def send(encoding: str, url: str, name: str, value: str) -> requests.Response:
    """POST one field."""
    match encoding:
        case "urlencoded":
            return post(url, {name: value})
        case "multipart":
            return post(url, files={name: (None, value)})
        case "chunks":
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return post(url, iter([f"{name}=".encode(), value.encode()]), headers=kind)
        case _:
            return post(url, params={name: value})


@pytest.mark.parametrize(
    ("encoding", "spelling"),
    [("urlencoded", str.upper), ("multipart", str.lower), ("chunks", str.title), ("query", str.lower)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)  # fmt: skip
def test_every_change_is_a_303_in_each_encoding_and_spelling(
    service: Service, encoding: str, spelling: Callable[[str], str]
) -> None:
    """UWS 2.2.3, DALI 2 (both encodings) and 4.1 (names in any case)."""
    job = service.pending()
    soon = f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%dT%H:%M:%S}.678Z"
    name, value = spelling(service.changed[0]), service.changed[1]
    assert is_redirect(send(encoding, f"{job}/parameters", name, value), job)
    assert (name, value) in parameters(job)
    for path, control, text in (
        ("/destruction", "DESTRUCTION", soon),
        ("/executionduration", "EXECUTIONDURATION", "77"),
        ("/phase", "PHASE", "ABORT"),
    ):
        assert is_redirect(send(encoding, job + path, spelling(control), text), job)
        assert get(job + path).text == {"ABORT": "ABORTED"}.get(text, text)
    assert is_redirect(send(encoding, job, spelling("ACTION"), "DELETE"), service.joblist)
    assert get(job).status_code == 404


def test_a_get_with_a_body_is_a_get(service: Service) -> None:
    """RFC 9110 section 9.3.1; cadctap polls that way."""
    job = service.pending()
    assert get(f"{job}/phase", data={"WAIT": "1"}).text == "PENDING"
    assert get(job, data={"ACTION": "DELETE"}).status_code == 200


def test_a_slash_too_many_is_no_other_resource(service: Service) -> None:
    """Users write base URLs with a slash at the end; no client follows a redirect of a POST."""
    job = service.pending()
    root, _, path = job.partition("/async/")
    odd = f"{root}//async//{path}/"
    assert get(odd).content == get(job).content
    assert get(f"{odd}phase/").text == "PENDING"
    assert is_redirect(post(f"{odd}/phase/", {"PHASE": "ABORT"}), job)


def test_the_server_says_what_it_is(service: Service) -> None:
    """RFC 9110 section 10.2.4; taplint warns without it."""
    assert re.fullmatch(r"uwsd/[0-9.]+\S*", get(service.joblist).headers["Server"])


def test_a_request_without_a_host_is_refused(service: Service) -> None:
    """RFC 9112 section 3.2: without it no absolute URL can be made, and none is guessed."""
    answer = exchange(service.url, f"GET {urlsplit(service.joblist).path} HTTP/1.0\r\n\r\n", b"")
    assert b" 400 " in answer.partition(b"\r\n")[0]
