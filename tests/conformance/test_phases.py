"""Phases: what leads from one to the next (UWS 2.1.3, 2.2.3.5, 2.2.3.6)."""

import pytest

from tests.conformance.asking import (
    Service,
    ask,
    children,
    create,
    document,
    get,
    is_redirect,
    post,
    refuses,
    said,
)
from tests.conformance.site.puppet import say
from tests.serving import Server, finished, wait_until
from uwsd.backends.base import State


class Puppet:
    """A job whose engine says what it is told to say."""

    def __init__(self, site: Server) -> None:
        self.url = create(f"{site.url}/puppet/async", {"PHASE": "RUN"})
        self._jobs = site.data / "jobs"

    def is_now(self, state: State) -> None:
        say(self._jobs, self.url.rpartition("/")[2], state)

    def goes(self, state: State, phase: str) -> None:
        self.is_now(state)
        wait_until(lambda: get(f"{self.url}/phase").text == phase)


@pytest.fixture
def puppet(site: Server) -> Puppet:
    return Puppet(site)


LIVE = {
    "QUEUED": State.WAITING,
    "HELD": State.HELD,
    "EXECUTING": State.RUNNING,
    "SUSPENDED": State.SUSPENDED,
    "UNKNOWN": State.UNKNOWN,
}


def test_a_job_runs_when_it_is_told_to(service: Service) -> None:
    """UWS 2.2.3.5."""
    job = service.pending()
    assert is_redirect(post(f"{job}/phase", {"PHASE": "RUN"}), job)
    assert get(f"{job}/phase").text in ("QUEUED", "EXECUTING", "COMPLETED")
    assert finished(job) == "COMPLETED"


def test_the_job_s_own_url_takes_phase_as_well(service: Service) -> None:
    """Not in the standard: uws-client aborts there. Alone, so that no parameter is lost."""
    job = service.pending()
    assert refuses(post(job, {"PHASE": "ABORT", "TEXT": "a"}), 400)
    assert is_redirect(post(job, {"PHASE": "ABORT"}), job)
    assert get(f"{job}/phase").text == "ABORTED"


def test_abort_can_come_in_the_query_of_an_empty_post(service: Service) -> None:
    """UWS 2.2.3.6; the clean-up of uws-validator. The job stays, its endTime is set at once."""
    job = service.pending()
    assert is_redirect(post(f"{job}/phase?PHASE=ABORT"), job)
    root = document(job)
    assert (said(root, "phase"), said(root, "startTime")) == ("ABORTED", "")
    assert said(root, "endTime")


@pytest.mark.parametrize("phase", ["COMPLETED", "ERROR", "ABORTED"])
def test_nothing_leads_out_of_the_end(service: Service, phase: str) -> None:
    """UWS 2.2: 403 for what the phase forbids, and the job is as it was."""
    match phase:
        case "COMPLETED":
            job = service.started()
        case "ERROR":
            job = service.failed()
        case _:
            job = service.pending()
            post(f"{job}/phase", {"PHASE": "ABORT"})
    assert finished(job) == phase
    before = get(job).content
    for command in ("RUN", "ABORT"):
        for url in (f"{job}/phase", job):
            assert refuses(post(url, {"PHASE": command}), 403, f"{phase} cannot {command}")
    assert refuses(post(f"{job}/phase", {"PHASE": phase}), 400, "PHASE must be")
    assert refuses(post(f"{job}/phase", {"PHASE": "run"}), 400, "PHASE must be")
    assert get(job).content == before


@pytest.mark.parametrize("phase", LIVE)
def test_what_is_committed_cannot_be_run_but_stopped(puppet: Puppet, phase: str) -> None:
    """UWS 2.1.3: an abort, or an error, can come at any time before the end."""
    puppet.goes(LIVE[phase], phase)
    root = document(puppet.url)
    assert said(root, "phase") == phase
    assert not said(root, "endTime")
    assert bool(children(root, "result")) is bool(said(root, "startTime")), "QUEUED: no results yet"
    if phase != "HELD":
        assert refuses(post(f"{puppet.url}/phase", {"PHASE": "RUN"}), 403, f"{phase} cannot RUN")
    assert is_redirect(post(f"{puppet.url}/phase", {"PHASE": "ABORT"}), puppet.url)
    root = document(puppet.url)
    assert said(root, "phase") == "ABORTED"
    assert said(root, "endTime")


def test_a_held_job_waits_for_a_second_run(puppet: Puppet) -> None:
    """UWS 2.1.3: HELD is left by PHASE=RUN."""
    puppet.goes(State.HELD, "HELD")
    puppet.is_now(State.WAITING)
    assert is_redirect(post(f"{puppet.url}/phase", {"PHASE": "RUN"}), puppet.url)
    wait_until(lambda: get(f"{puppet.url}/phase").text == "QUEUED")
    puppet.goes(State.DONE, "COMPLETED")


def test_an_engine_may_suspend_lose_and_find_a_job(puppet: Puppet) -> None:
    """UWS 2.1.3: SUSPENDED goes on by itself, UNKNOWN is asked about again."""
    puppet.goes(State.RUNNING, "EXECUTING")
    started = said(document(puppet.url), "startTime")
    puppet.goes(State.SUSPENDED, "SUSPENDED")
    puppet.goes(State.UNKNOWN, "UNKNOWN")
    puppet.goes(State.RUNNING, "EXECUTING")
    puppet.goes(State.DONE, "COMPLETED")
    root = document(puppet.url)
    assert said(root, "startTime") == started
    assert said(root, "endTime")


@pytest.mark.parametrize(
    ("state", "phase"),
    [(State.FAILED, "ERROR"), (State.LOST, "ERROR"), (State.EXCEEDED, "ABORTED")],
)
def test_an_end_that_nobody_asked_for_is_explained(
    puppet: Puppet, state: State, phase: str
) -> None:
    """UWS 2.1.4: more than was allowed is an abort; 2.1.7: a failure has an errorSummary."""
    puppet.goes(state, phase)
    assert said(document(puppet.url), "message") == "as told"
    assert get(f"{puppet.url}/error").status_code == 200


@pytest.mark.parametrize("phase", LIVE)
def test_a_job_can_be_deleted_in_every_phase(puppet: Puppet, site: Server, phase: str) -> None:
    """UWS 2.1.5: whatever it is at, it is stopped and forgotten."""
    puppet.goes(LIVE[phase], phase)
    assert is_redirect(ask("DELETE", puppet.url), f"{site.url}/puppet/async")
    assert get(puppet.url).status_code == 404
    wait_until(lambda: not (site.data / "jobs" / puppet.url.rpartition("/")[2]).exists())
