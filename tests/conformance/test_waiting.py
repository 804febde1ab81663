"""Blocking reads (UWS 2.2.1.2). All WAITs of a table are open at the same time."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from tests.conformance.asking import (
    PHASES,
    Service,
    ask,
    create,
    document,
    get,
    post,
    refuses,
    said,
)
from tests.conformance.site.puppet import say
from tests.serving import Server, finished, wait_until
from uwsd.backends.base import State

SHORT = 2
LONG = 50  # what ends well before, nobody has waited for


@dataclass(frozen=True)
class Answer:
    """What a WAIT was answered with, and after how many seconds."""

    status: int
    phase: str | None
    seconds: float


def wait(job: str, **query: object) -> Answer:
    began = time.monotonic()
    answer = get(job, params={name: str(value) for name, value in query.items()})
    seconds = time.monotonic() - began
    phase = said(document(job), "phase") if answer.status_code == 200 else None
    return Answer(answer.status_code, phase, seconds)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


Query = Mapping[str, object]
BLOCKING: list[Query] = [
    {"WAIT": SHORT},
    {"wait": SHORT},
    {"WAIT": SHORT, "PHASE": "PENDING"},
    {"Wait": f"0{SHORT}", "phase": "PENDING", "other": "x"},
]
AT_ONCE: list[Query] = [
    *({"WAIT": LONG, "PHASE": phase} for phase in PHASES if phase != "PENDING"),
    {"WAIT": -1, "PHASE": "SUSPENDED"},
    {"WAIT": -1, "PHASE": "HELD"},
    {"WAIT": 0},
    {"PHASE": "PENDING"},
    {"PHASE": "nonsense"},
    {"PHASE": "PENDING", "phase": "QUEUED"},
]

Answers = Mapping[str, Answer]


@pytest.fixture(scope="module")
def idle(server: Server, pool: ThreadPoolExecutor) -> Answers:
    """The answers of a PENDING job of which nothing is asked but to wait."""
    job = create(f"{server.url}/demo/async")
    asked = {
        str(query): pool.submit(partial(wait, job, **query)) for query in (*BLOCKING, *AT_ONCE)
    }
    return {query: future.result() for query, future in asked.items()}


@pytest.mark.parametrize("query", BLOCKING, ids=str)
def test_a_wait_lasts_as_long_as_asked_and_not_a_moment_less(idle: Answers, query: Query) -> None:
    """UWS 2.2.1.2."""
    answer = idle[str(query)]
    assert (answer.status, answer.phase) == (200, "PENDING")
    assert SHORT <= answer.seconds < SHORT + 10


@pytest.mark.parametrize("query", AT_ONCE, ids=str)
def test_a_job_that_is_not_in_the_phase_is_answered_at_once(idle: Answers, query: Query) -> None:
    """UWS 2.2.1.2: with PHASE only as long as it is in that; without WAIT, PHASE says nothing."""
    answer = idle[str(query)]
    assert (answer.status, answer.phase) == (200, "PENDING")
    assert answer.seconds < 10


@pytest.mark.parametrize("bad", ["", "x", "1.5", "-2", "+1", "٣", "9" * 40])
def test_wait_is_a_whole_number(service: Service, bad: str) -> None:
    """UWS 2.2.1.2: or -1, for as long as the server likes."""
    job = service.pending()
    assert refuses(get(job, params={"WAIT": bad}), 400, "WAIT takes")
    assert refuses(get(job, params={"WAIT": "1", "PHASE": bad}), 400, "PHASE takes")


def test_wait_and_its_phase_are_given_once(service: Service) -> None:
    """DALI 4.2."""
    job = service.pending()
    assert refuses(get(job, params=[("WAIT", "1"), ("wait", "1")]), 400, "WAIT is given 2 times")
    both = [("WAIT", "1"), ("PHASE", "PENDING"), ("PHASE", "QUEUED")]
    assert refuses(get(job, params=both), 400, "PHASE is given 2 times")


def test_only_the_job_itself_is_waited_for(service: Service) -> None:
    """UWS 2.2.1.2."""
    job = service.pending()
    began = time.monotonic()
    for path in ("/phase", "/parameters", "/results", "/destruction"):
        assert get(job + path, params={"WAIT": str(LONG)}).status_code == 200
    assert get(service.joblist, params={"WAIT": str(LONG)}).status_code == 200
    assert time.monotonic() - began < 20


def test_what_is_over_is_not_waited_for(service: Service) -> None:
    """UWS 2.2.1.2: nothing will change."""
    aborted = service.pending()
    post(f"{aborted}/phase", {"PHASE": "ABORT"})
    jobs = {"COMPLETED": service.started(), "ERROR": service.failed(), "ABORTED": aborted}
    for phase, job in jobs.items():
        assert finished(job) == phase
        for query in ({"WAIT": LONG}, {"WAIT": -1}, {"WAIT": LONG, "PHASE": phase}):
            answer = wait(job, **query)
            assert (answer.phase, answer.seconds < 10) == (phase, True)


@pytest.mark.parametrize(
    ("state", "phase"),
    [(State.HELD, "HELD"), (State.SUSPENDED, "SUSPENDED"), (State.UNKNOWN, "UNKNOWN")],
)
def test_an_inactive_phase_is_not_waited_for(site: Server, state: State, phase: str) -> None:
    """UWS 2.2.1.2: only PENDING, QUEUED and EXECUTING block."""
    job = create(f"{site.url}/puppet/async", {"PHASE": "RUN"})
    say(site.data / "jobs", job.rpartition("/")[2], state)
    wait_until(lambda: get(f"{job}/phase").text == phase)
    began = time.monotonic()
    for query in ({"WAIT": "3"}, {"WAIT": "-1", "PHASE": phase}, {"WAIT": "3", "PHASE": phase}) * 2:
        assert said(document(job, **query), "phase") == phase
    assert time.monotonic() - began < 3
    ask("DELETE", job)


def are_open(*waiters: Future[Answer]) -> None:
    """Give the requests time to arrive. It is no failure if they do not, but shows less."""
    time.sleep(0.2)
    assert not any(waiter.done() for waiter in waiters)


@pytest.mark.parametrize("query", [{"WAIT": LONG}, {"WAIT": -1}, {"WAIT": -1, "PHASE": "PENDING"}])
def test_a_change_of_phase_ends_it(
    service: Service, pool: ThreadPoolExecutor, query: Query
) -> None:
    """UWS 2.2.1.2: it must."""
    job = service.pending()
    waiter = pool.submit(partial(wait, job, **query))
    are_open(waiter)
    post(f"{job}/phase", {"PHASE": "ABORT"})
    answer = waiter.result(30)
    assert (answer.status, answer.phase) == (200, "ABORTED")
    assert answer.seconds < 20


def test_a_deletion_ends_it(service: Service, pool: ThreadPoolExecutor) -> None:
    """There is nothing more to wait for: 404."""
    job = service.pending()
    waiters = [pool.submit(wait, job, WAIT=LONG) for _ in range(3)]
    are_open(*waiters)
    ask("DELETE", job)
    answers = [waiter.result(30) for waiter in waiters]
    assert [answer.status for answer in answers] == [404] * 3
    assert max(answer.seconds for answer in answers) < 20


def test_a_client_that_follows_every_phase_sees_the_end(service: Service) -> None:
    """STILTS asks WAIT=-1&PHASE=<what it saw last> without a pause, pyvo WAIT=-1."""
    job = service.started()
    phase, seen = "", []
    while phase not in ("COMPLETED", "ERROR"):
        phase = str(said(document(job, WAIT="-1", PHASE=phase or "QUEUED"), "phase"))
        seen.append(phase)
        assert len(seen) < 50, seen
    assert seen[-1] == "COMPLETED"


def test_a_server_may_end_it_sooner(site: Server, pool: ThreadPoolExecutor) -> None:
    """UWS 2.2.1.2: within the time that connections live; 200, and the phase as it is."""
    job = create(f"{site.url}/unlimited/async")
    waiters = [pool.submit(wait, job, WAIT=asked) for asked in (-1, -1, 30, 10**12)]
    for answer in [waiter.result() for waiter in waiters]:
        assert (answer.status, answer.phase) == (200, "PENDING")
        assert 3 <= answer.seconds < 13
