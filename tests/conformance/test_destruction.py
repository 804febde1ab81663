"""Destruction, by the client or by time (UWS 2.1.5, 2.2.3.2, 2.2.3.3)."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.conformance.asking import (
    NOBODY,
    Service,
    ask,
    children,
    create,
    document,
    get,
    is_redirect,
    parameters,
    post,
    refuses,
    said,
)
from tests.serving import Server, finished, wait_until


@pytest.mark.parametrize("how", ["DELETE", "ACTION"])
def test_a_job_is_forgotten_with_all_it_has_made(
    service: Service, server: Server, site: Server, how: str
) -> None:
    """UWS 2.2.3.2: 303 to the list; then it is 404, and so is everything below it."""
    job = service.started()
    assert finished(job) == "COMPLETED"
    urls = [job, f"{job}/results/result", f"{job}/parameters/{service.changed[0]}", f"{job}/phase"]
    assert all(get(url).status_code == 200 for url in urls)
    answer = ask("DELETE", job) if how == "DELETE" else post(job, {"ACTION": "DELETE"})
    assert is_redirect(answer, service.joblist)
    for url in urls:
        assert refuses(get(url), 404, "there is no job")
    assert ask("DELETE", job).status_code == 404
    assert post(f"{job}/phase", {"PHASE": "RUN"}).status_code == 404
    job_id = job.rpartition("/")[2]
    wait_until(lambda: not any((s.data / "jobs" / job_id).exists() for s in (server, site)))


def test_nobody_deletes_what_is_not_there(service: Service) -> None:
    """UWS 2.2."""
    job = f"{service.joblist}/{NOBODY}"
    for answer in (ask("DELETE", job), post(job, {"ACTION": "DELETE"}), post(job, b"no form")):
        assert refuses(answer, 404, "there is no job")


@pytest.mark.parametrize(
    "body", ["", "ACTION=", "ACTION=delete", "ACTION=DELETE&ACTION=DELETE", "a=b"]
)
def test_only_action_delete_deletes(service: Service, body: str) -> None:
    """UWS 2.2.3.2; a POST that says nothing is no deletion, and values have their case."""
    job = service.pending()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert refuses(post(job, body, headers=kind), 400)
    assert get(job).status_code == 200


def at(**ahead: float) -> str:
    moment = datetime.now(UTC) + timedelta(**ahead)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def test_a_time_between_now_and_the_limit_is_taken_as_it_is(service: Service) -> None:
    """UWS 2.1.5: to the millisecond, in the leaf as in the job."""
    job = service.pending()
    for asked in (at(hours=1), at(days=8), at(minutes=5)):
        assert is_redirect(post(f"{job}/destruction", {"DESTRUCTION": asked}), job)
        assert (get(f"{job}/destruction").text, said(document(job), "destruction")) == (
            asked,
            asked,
        )


@pytest.mark.parametrize("asked", ["2999-01-01", "9999-12-31T23:59:59.999Z", "1999-01-01", "0001"])
def test_another_time_is_replaced_by_one_that_can_be(service: Service, asked: str) -> None:
    """UWS 2.2.3.3: 303 all the same, and the client reads back what it got.

    One in the past is a moment from now, so that the redirect still finds the job.
    """
    job = service.pending()
    assert is_redirect(post(f"{job}/destruction", {"DESTRUCTION": asked}), job)
    now = at()
    root = document(job)
    latest = at(days=30, seconds=1)
    soon = at(seconds=5)
    got = str(said(root, "destruction"))
    assert (now < got < soon) if asked < "2000" else (at(days=29) < got <= latest)


def test_it_can_be_moved_in_every_phase(service: Service) -> None:
    """UWS 2.1.5 has no limit to that: to keep the results for longer is the main use of it."""
    jobs = [service.started(), service.failed(), service.pending(), service.pending()]
    post(f"{jobs[2]}/phase", {"PHASE": "ABORT"})
    assert [finished(job) for job in jobs[:3]] == ["COMPLETED", "ERROR", "ABORTED"]
    for job in jobs:
        asked = at(days=20)
        assert is_redirect(post(f"{job}/destruction", {"DESTRUCTION": asked}), job)
        assert get(f"{job}/destruction").text == asked
        assert refuses(post(f"{job}/destruction", {"DESTRUCTION": ""}), 400, "is not a time")
        assert get(f"{job}/destruction").text == asked


def test_without_a_limit_any_time_is_taken(site: Server) -> None:
    """UWS 2.1.5."""
    job = create(f"{site.url}/unlimited/async", {"DESTRUCTION": "9999-12-31"})
    assert get(f"{job}/destruction").text == "9999-12-31T00:00:00.000Z"


def test_an_archived_job_keeps_what_was_known_of_it(site: Server) -> None:
    """UWS 2.1.3: results are dropped, the metadata stays; it is listed by that name alone."""
    joblist = f"{site.url}/spectrum/async"
    text = {"scale": "2", "label": "kept", "PHASE": "RUN", "RUNID": "old"}
    done = post(joblist, text, files={"table": b"1 2"}).headers["Location"]
    failed = create(joblist, {"fail": "true", "PHASE": "RUN"})
    running = create(joblist, {"seconds": "60", "PHASE": "RUN"})
    pending = create(joblist, {"label": "never run"})
    assert (finished(done), finished(failed)) == ("COMPLETED", "ERROR")
    wait_until(lambda: get(f"{running}/phase").text == "EXECUTING")
    jobs = {job: document(job) for job in (done, failed, running, pending)}
    for job in jobs:
        post(f"{job}/destruction", {"DESTRUCTION": "1999"})
    for job, before in jobs.items():
        wait_until(lambda job=job: get(f"{job}/phase").text == "ARCHIVED")  # type: ignore[misc]
        root = document(job)
        for name in ("jobId", "runId", "creationTime", "startTime", "executionDuration", "message"):
            assert said(root, name) == said(before, name), name
        assert said(root, "endTime")
        assert [p.get("id") for p in children(root, "parameter")] == [
            p.get("id") for p in children(before, "parameter")
        ]
        assert children(root, "result") == []
        check_archived(job)
    assert dict(parameters(done))["label"] == "kept"
    assert get(f"{done}/results/result").status_code == 404
    assert get(f"{done}/parameters/table").status_code == 404, "its files are gone"
    assert str(said(jobs[failed], "message")) in get(f"{failed}/error").text
    check_list(joblist, {job.rpartition("/")[2] for job in jobs})
    assert is_redirect(ask("DELETE", done), joblist)
    assert get(done).status_code == 404


def check_archived(job: str) -> None:
    """Nothing can be done with it but to delete it."""
    before = get(job).content
    for command in ("RUN", "ABORT"):
        assert refuses(post(f"{job}/phase", {"PHASE": command}), 403, "ARCHIVED")
    assert refuses(post(f"{job}/destruction", {"DESTRUCTION": "2999"}), 403, "ARCHIVED")
    assert refuses(post(f"{job}/executionduration", {"EXECUTIONDURATION": "1"}), 403, "ARCHIVED")
    assert refuses(post(f"{job}/parameters", {"label": "b"}), 403, "ARCHIVED")
    assert get(job).content == before


def check_list(joblist: str, archived: set[str]) -> None:
    """UWS 2.2.2.1: ARCHIVED has to be among the filters."""

    def shown(query: str) -> set[str]:
        return archived & {str(ref.get("id")) for ref in document(f"{joblist}?{query}")}

    for query in ("", "LAST=1000", "AFTER=2020", "PHASE=COMPLETED&PHASE=ERROR&PHASE=ABORTED"):
        assert shown(query) == set()
    for query in ("PHASE=ARCHIVED", "PHASE=ERROR&PHASE=ARCHIVED", "PHASE=ARCHIVED&LAST=1000"):
        assert shown(query) == archived
