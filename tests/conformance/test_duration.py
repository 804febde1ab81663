"""The execution duration (UWS 2.1.4, 2.2.3.4)."""

import pytest

from tests.conformance.asking import (
    Service,
    create,
    document,
    get,
    is_redirect,
    post,
    refuses,
    said,
)
from tests.serving import Server, finished


def test_it_is_whole_seconds(service: Service) -> None:
    """UWS 2.1.4: an integer, the same in the leaf and in the job."""
    job = service.pending()
    for asked in ("1", "3599", "007"):
        assert is_redirect(post(f"{job}/executionduration", {"EXECUTIONDURATION": asked}), job)
        assert get(f"{job}/executionduration").text == str(int(asked))
        assert said(document(job), "executionDuration") == str(int(asked))
    for bad in ("", "1.5", "-1", "1e3", "PT1H", "1 s", "inf", "９", "9" * 40):
        answer = post(f"{job}/executionduration", {"EXECUTIONDURATION": bad})
        assert refuses(answer, 400, "EXECUTIONDURATION takes whole seconds")
    assert get(f"{job}/executionduration").text == "7"


@pytest.mark.parametrize("asked", ["0", "86401", "2147483648", "99999999999"])
def test_more_than_the_limit_is_the_limit_and_so_is_no_limit(service: Service, asked: str) -> None:
    """UWS 2.1.4: 0 is unlimited, not the least; the schema holds no more than 2147483647."""
    job = service.pending()
    assert is_redirect(post(f"{job}/executionduration", {"EXECUTIONDURATION": asked}), job)
    assert get(f"{job}/executionduration").text == "86400"
    assert said(document(service.pending(EXECUTIONDURATION=asked)), "executionDuration") == "86400"


def test_where_there_is_no_limit_0_is_none(site: Server) -> None:
    """UWS 2.1.4."""
    joblist = f"{site.url}/unlimited/async"
    job = create(joblist, {"SECONDS": "0.1"})
    assert get(f"{job}/executionduration").text == "0"
    post(f"{job}/executionduration", {"EXECUTIONDURATION": "99999999999"})
    assert said(document(job), "executionDuration") == "2147483647"
    post(f"{job}/executionduration", {"EXECUTIONDURATION": "0"})
    post(f"{job}/phase", {"PHASE": "RUN"})
    assert finished(job) == "COMPLETED"
    assert get(f"{job}/executionduration").text == "0"


def test_it_is_settled_when_the_job_is_over(service: Service) -> None:
    """UWS 2.2.3.4 lets a service say no."""
    jobs = [service.started(), service.failed(), service.pending()]
    post(f"{jobs[2]}/phase", {"PHASE": "ABORT"})
    for job in jobs:
        phase = finished(job)
        answer = post(f"{job}/executionduration", {"EXECUTIONDURATION": "5"})
        assert refuses(answer, 403, f"a job that is {phase} will not run")


def test_a_job_that_used_it_up_is_aborted_with_what_it_has_made(site: Server) -> None:
    """UWS 2.1.4: as if the client had aborted it, and not an error."""
    sleep = {"SECONDS": "60", "EXECUTIONDURATION": "1", "PHASE": "RUN"}
    job = create(f"{site.url}/unlimited/async", sleep)
    assert finished(job) == "ABORTED"
    assert "1 s" in str(said(document(job), "message"))
    assert get(f"{job}/results/stdout").status_code == 200
