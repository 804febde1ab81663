"""Results (UWS 2.1.10, 2.2.2.3, DALI 5.1)."""

import pytest
from lxml import etree

from tests.conformance.asking import (
    Service,
    ask,
    children,
    create,
    document,
    get,
    post,
    refuses,
    said,
)
from tests.serving import Server, finished, wait_until
from uwsd.uws.documents import XLINK


def results(job: str) -> list[etree._Element]:
    return children(document(f"{job}/results"), "result")


def href(result: etree._Element) -> str:
    return str(result.get(f"{{{XLINK}}}href"))


def test_there_are_none_at_first_and_the_list_is_there(service: Service) -> None:
    """UWS 2.1.10: an empty list, and not 404."""
    job = service.pending()
    assert results(job) == []
    post(f"{job}/phase", {"PHASE": "ABORT"})
    assert results(job) == []


def test_what_is_said_of_a_result_is_true(service: Service) -> None:
    """UWS 2.2.2.3, DALI 5.1: size and mime-type are those of what is sent."""
    job = service.started()
    assert finished(job) == "COMPLETED"
    found = results(job)
    ids = [result.get("id") for result in found]
    assert len(ids) == len(set(ids))
    assert ids[0] == "result", "where clients look first"
    for result in found:
        assert href(result) == f"{job}/results/{result.get('id')}"
        assert result.get(f"{{{XLINK}}}type") == "simple"
        whole, head = get(href(result)), ask("HEAD", href(result))
        assert (whole.status_code, head.status_code) == (200, 200)
        for headers in (whole.headers, head.headers):
            assert headers["Content-Type"] == result.get("mime-type")
            assert headers["Content-Length"] == result.get("size") == str(len(whole.content))
            assert headers["Accept-Ranges"] == "bytes"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
            assert {"Last-Modified", "ETag"} <= headers.keys()


@pytest.fixture(scope="module")
def many(site: Server) -> str:
    """A job with results of several kinds."""
    job = create(f"{site.url}/many/async", {"PHASE": "RUN"})
    assert finished(job) == "COMPLETED"
    return job


def test_ids_are_unique_though_names_are_not(many: str) -> None:
    """UWS 2.2.2.3, which the schema does not check."""
    ids = [result.get("id") for result in results(many)]
    assert ids[:2] == ["result", "page"]
    assert len(ids) == len(set(ids)) == 7
    for result in results(many):
        answer = get(href(result))
        assert (answer.status_code, len(answer.content)) == (200, int(result.get("size", -1)))


def test_a_browser_shows_what_cannot_harm_it(many: str) -> None:
    """What a job made is foreign content on our host."""
    shown = {}
    for result in results(many):
        headers = ask("HEAD", href(result)).headers
        shown[str(result.get("mime-type"))] = headers["Content-Disposition"].partition(";")[0]
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert shown == {
        "application/x-votable+xml": "inline",
        "text/plain; charset=utf-8": "inline",
        "text/html": "attachment",
        "image/svg+xml": "attachment",
    }


@pytest.fixture(scope="module")
def ten_bytes(server: Server) -> str:
    """The URL of a result of ten bytes."""
    job = create(f"{server.url}/demo/async", {"TEXT": "0123456789", "PHASE": "RUN"})
    assert finished(job) == "COMPLETED"
    return f"{job}/results/result"


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-", 206, "0123456789"),
        ("bytes=3-5", 206, "345"),
        ("bytes=9-99", 206, "9"),
        ("bytes=-3", 206, "789"),
        ("bytes=10-", 416, None),
        # All of it is asked for.
        ("bytes=-10", 200, "0123456789"),
        ("bytes=-99", 200, "0123456789"),
        # What is not understood, or not done, is as if it was not there (RFC 9110 14.2).
        ("bytes=5-3", 200, "0123456789"),
        ("bytes=0-1,4-5", 200, "0123456789"),
        ("bytes=-0", 200, "0123456789"),
        ("bytes=x", 200, "0123456789"),
        ("lines=1-2", 200, "0123456789"),
    ],
)
def test_a_part_of_a_result_can_be_had(
    ten_bytes: str, asked: str, status: int, content: str | None
) -> None:
    """RFC 9110 section 14."""
    answer = get(ten_bytes, headers={"Range": asked})
    assert answer.status_code == status
    assert content is None or answer.text == content
    if status == 206:
        assert answer.headers["Content-Range"].endswith("/10")
    if status == 416:
        assert answer.headers["Content-Range"] == "bytes */10"
    head = ask("HEAD", ten_bytes, headers={"Range": asked})
    assert (head.status_code, head.headers["Content-Length"]) == (200, "10"), "it is for GET only"


def test_what_has_not_changed_is_not_sent_again(ten_bytes: str) -> None:
    """RFC 9110 section 13."""
    headers = get(ten_bytes).headers
    assert get(ten_bytes, headers={"If-None-Match": headers["ETag"]}).status_code == 304
    since = {"If-Modified-Since": headers["Last-Modified"]}
    assert get(ten_bytes, headers=since).status_code == 304
    for validator, status in ((headers["ETag"], 206), ('"other"', 200)):
        part = {"Range": "bytes=0-1", "If-Range": validator}
        assert get(ten_bytes, headers=part).status_code == status


def test_what_an_aborted_job_has_made_stays(site: Server) -> None:
    """UWS 2.1.3, 2.1.4, 2.1.10: results may be there before the end, and are kept."""
    job = create(f"{site.url}/unlimited/async", {"SECONDS": "60", "PHASE": "RUN"})
    wait_until(lambda: results(job))
    (early, *_) = results(job)
    assert early.get("size") is None, "it may still grow"
    assert get(href(early)).status_code == 200
    post(f"{job}/phase", {"PHASE": "ABORT"})
    wait_until(lambda: all(result.get("size") for result in results(job)))
    assert [result.get("id") for result in results(job)] == ["stdout", "stderr"]
    assert get(href(early)).status_code == 200


def test_a_failed_job_says_so_where_its_result_would_be(service: Service) -> None:
    """DALI 5.2; astroquery shows its users nothing but this answer."""
    job = service.failed()
    assert finished(job) == "ERROR"
    message = str(said(document(job), "message"))
    assert refuses(get(f"{job}/results/nosuch"), 404, message)
