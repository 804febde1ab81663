"""Failed jobs and failed requests (UWS 2.1.7, 2.2, 2.2.2.5, DALI 5.2)."""

import pytest

from tests.conformance.asking import (
    NOBODY,
    Service,
    ask,
    children,
    document,
    get,
    post,
    refuses,
    said,
)
from tests.serving import finished


def test_a_failed_job_is_a_healthy_resource(service: Service) -> None:
    """UWS 2.2.2.5: phase ERROR, a summary, and /error with the whole of it."""
    job = service.failed()
    assert finished(job) == "ERROR"
    root = document(job)
    (summary,) = children(root, "errorSummary")
    assert summary.get("type") in ("fatal", "transient")
    assert summary.get("hasDetail") == "true"
    message = said(summary, "message")
    assert message
    answer = get(f"{job}/error")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"]
    assert message in answer.text


@pytest.mark.parametrize("phase", ["PENDING", "COMPLETED", "ABORTED"])
def test_a_job_that_has_not_failed_has_no_error(service: Service, phase: str) -> None:
    """DALI 5.2."""
    job = service.started() if phase == "COMPLETED" else service.pending()
    if phase == "ABORTED":
        post(f"{job}/phase", {"PHASE": "ABORT"})
    assert phase == "PENDING" or finished(job) == phase
    assert children(document(job), "errorSummary") == []
    assert refuses(get(f"{job}/error"), 404, "has not failed")


def test_a_refusal_is_a_sentence_of_text(service: Service) -> None:
    """DALI 5.2: a fitting status and a text; nothing of it is markup, whatever was sent."""
    job = service.pending()
    nasty = "<script>alert(1)</script>"
    refusals = [
        (get(f"{job}/results/{nasty}"), 404),
        (get(f"{job}/parameters/{nasty}"), 404),
        (get(job, params={"WAIT": nasty}), 400),
        (get(service.joblist, params={"PHASE": nasty}), 400),
        (post(service.joblist, {"RUNID": "x" * 65}), 400),
        (post(service.joblist, {"PHASE": nasty}), 400),
        (post(f"{job}/phase", {"PHASE": nasty}), 400),
        (post(job, {"ACTION": nasty}), 400),
        (post(service.joblist, nasty, headers={"Content-Type": "text/xml"}), 415),
    ]
    for answer, status in refusals:
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.text.endswith("\n")


def test_a_stranger_learns_nothing_from_how_a_job_s_parts_answer(service: Service) -> None:
    """UWS 2.2: what is below a job that is not there is not there, whatever is sent to it."""
    for path in ("", "/phase", "/destruction", "/executionduration", "/parameters"):
        url = f"{service.joblist}/{NOBODY}{path}"
        for body in (b"", b"PHASE=RUN", b"\xff" * 100):
            assert refuses(post(url, body), 404, "there is no job")
    assert refuses(ask("PUT", f"{service.joblist}/{NOBODY}/parameters/a", data=b"1"), 404)
