"""Making a job (UWS 2.2.3.1, DALI 2.1)."""

import pytest

from tests.conformance.asking import (
    Service,
    ask,
    children,
    document,
    get,
    is_redirect,
    parameters,
    post,
    refuses,
    said,
)
from tests.serving import finished, wait_until


def test_a_new_job_is_pending_and_has_its_limits(service: Service) -> None:
    """UWS 2.1.3, 2.1.4, 2.1.5."""
    root = document(service.pending())
    assert said(root, "phase") == "PENDING"
    assert int(str(said(root, "executionDuration"))) > 0
    assert str(said(root, "destruction")) > str(said(root, "creationTime"))
    assert not children(root, "errorSummary")


@pytest.mark.parametrize("kind", ["", "application/x-www-form-urlencoded"])
def test_a_job_needs_no_parameters_to_be_made(service: Service, kind: str) -> None:
    """DALI 2.1: they may come later."""
    answer = post(service.joblist, b"", headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == 303
    assert parameters(answer.headers["Location"]) == []


def test_parameters_are_kept_as_they_were_sent(service: Service) -> None:
    """DALI 2.1 and 4.1: values are case sensitive, to the last character."""
    name, _ = service.changed
    text = "<&>\"' \t\n\r ]]> é 𝔘 Q=a&b+c %41 "
    for how in ({"data": {name: text}}, {"files": {name: (None, text)}}, {"params": {name: text}}):
        job = ask("POST", service.joblist, **how).headers["Location"]
        assert parameters(job) == [(name, text)]
        assert get(f"{job}/parameters/{name}").content == text.encode()


def test_query_and_body_are_one_message(service: Service) -> None:
    """UWS 2.2.3.1 has PHASE=RUN in the query; cadctap sends everything in both."""
    (name, value), *_ = service.fields.items()
    rest = dict(list(service.fields.items())[1:])
    answer = post(service.joblist, rest, params={name.title(): value, "PHASE": "RUN"})
    job = answer.headers["Location"]
    assert dict(parameters(job)) == {name.title(): value, **rest}
    assert finished(job) == "COMPLETED"
    again = post(service.joblist, {name: value}, params={name.swapcase(): value})
    assert parameters(again.headers["Location"]) == [(name, value)]
    other = post(service.joblist, {name: value}, params={name: f"{value}2"})
    assert refuses(other, 400, "takes one value, not 2")


@pytest.mark.parametrize("where", ["data", "params", "files"])
def test_a_job_may_be_started_at_once(service: Service, where: str) -> None:
    """UWS 2.2.3.1; astroquery and TAP+ do nothing else. It is never PENDING again (2.1.3)."""
    given = {"PHASE": "RUN", **service.fields}
    how = {where: {n: (None, v) for n, v in given.items()} if where == "files" else given}
    job = ask("POST", service.joblist, **how).headers["Location"]
    assert get(f"{job}/phase").text in ("QUEUED", "EXECUTING", "COMPLETED")
    assert finished(job) == "COMPLETED"


def test_what_controls_a_job_is_not_one_of_its_parameters(service: Service) -> None:
    """UWS 2.1.11: control parameters have the names of the standard."""
    job = service.pending(runid="a", executionDuration="60", Destruction="2020-01-01")
    assert dict(parameters(job)) == service.fields
    root = document(job)
    assert (said(root, "runId"), said(root, "executionDuration")) == ("a", "60")


def test_what_the_server_sets_a_client_does_not(service: Service) -> None:
    """UWS 2.1.2."""
    sent = {
        "creationTime": "1999-01-01",
        "jobId": "1",
        "ownerId": "me",
        "quote": "1999",
        "VERSION": "9",
    }
    root = document(service.pending(**sent))
    assert said(root, "jobId") != "1"
    assert not said(root, "ownerId")
    assert not said(root, "quote")
    assert str(said(root, "creationTime")) > "2020"
    ignored = root.find(".//{urn:uwsd:jobinfo:1}ignored")
    assert ignored is not None
    assert set(str(ignored.text).split(", ")) == sent.keys()


def test_what_cannot_run_is_not_started(service: Service) -> None:
    """UWS 2.2: a refusal, and no job."""
    before = get(service.joblist).content
    for fields in ({"PHASE": "run"}, {"PHASE": "ABORT"}, {"PHASE": ""}, {"ACTION": "DELETE"}):
        assert refuses(post(service.joblist, {**service.fields, **fields}), 400)
    assert get(service.joblist).content == before


def test_a_job_can_be_deleted_before_it_has_begun(service: Service) -> None:
    """UWS 2.1.5: whatever its phase."""
    job = service.started()
    assert is_redirect(post(job, {"ACTION": "DELETE"}), service.joblist)
    wait_until(lambda: get(job).status_code == 404)
