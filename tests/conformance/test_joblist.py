"""The job list and its filters (UWS 2.2.2.1)."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest
from lxml import etree

from tests.conformance.asking import (
    NIL,
    PHASES,
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
from tests.serving import Server, finished
from uwsd.uws.documents import XLINK


@dataclass(frozen=True)
class Listed:
    """A job as a list shows it."""

    id: str
    phase: str
    created: str


def listed(url: str, *filters: tuple[str, str]) -> list[Listed]:
    root = document(f"{url}?{urlencode(filters)}")
    assert root.get("version") == "1.1"
    return [
        Listed(str(ref.get("id")), str(said(ref, "phase")), str(said(ref, "creationTime")))
        for ref in root
    ]


def test_an_entry_says_what_its_job_says_and_leads_to_it(service: Service) -> None:
    """UWS 2.2.2.1 and appendix A.3: runId, ownerId and creationTime came with 1.1."""
    for run_id in ("", "mine <&> 'é'"):
        job = service.pending(RUNID=run_id)
        root = document(job)
        ref = next(iter(document(f"{service.joblist}")))
        assert ref.get("id") == said(root, "jobId")
        assert ref.get(f"{{{XLINK}}}href") == job
        assert ref.get(f"{{{XLINK}}}type") == "simple"
        for name in ("phase", "runId", "creationTime"):
            assert said(ref, name) == said(root, name)
        assert bool(children(ref, "runId")) is bool(run_id), "it may be left out, but not be nil"
        (owner,) = children(ref, "ownerId")
        assert owner.get(NIL) == "true"


def test_the_list_follows_the_jobs_and_cannot_be_deleted(service: Service) -> None:
    """UWS 2.1.1."""
    jobs = [service.pending() for _ in range(3)]
    ids = [job.rpartition("/")[2] for job in jobs]
    assert [entry.id for entry in listed(service.joblist)][:3] == ids[::-1], "newest first"
    assert ask("DELETE", service.joblist).status_code == 405
    assert is_redirect(ask("DELETE", jobs[1]), service.joblist)
    assert [entry.id for entry in listed(service.joblist)][:2] == [ids[2], ids[0]]


def test_lists_are_of_one_service_each(site: Server) -> None:
    """UWS 2.2.1: the list is the root of one service's tree, and an empty one is a list."""
    job = create(f"{site.url}/many/async")
    other = f"{site.url}/files/async"
    job_id = job.rpartition("/")[2]
    assert job_id not in {entry.id for entry in listed(other)}
    assert get(f"{other}/{job_id}").status_code == 404
    assert etree.tostring(document(f"{other}?PHASE=UNKNOWN&LAST=1")).count(b"jobref") == 0


@pytest.fixture(scope="module")
def history(server: Server) -> str:
    """A list with jobs in every phase that a client can bring about."""
    demo = f"{server.url}/demo/async"
    over = [create(demo, {"PHASE": "RUN", "EXIT": status}) for status in "0101"]
    for job in [create(demo) for _ in range(4)][::2]:
        post(f"{job}/phase", {"PHASE": "ABORT"})
    for job in over:
        finished(job)
    return demo


def expected(jobs: list[Listed], phases: tuple[str, ...], after: str, last: int) -> list[Listed]:
    """Filter by PHASE and AFTER, then take the newest."""
    wanted = [
        job
        for job in jobs
        if (not phases or job.phase in phases) and (not after or job.created > after)
    ]
    return wanted[: last or None]


MANY = [
    (),
    *((phase,) for phase in PHASES),
    *itertools.combinations(("PENDING", "COMPLETED", "ERROR", "ABORTED"), 2),
    ("EXECUTING", "QUEUED", "ERROR"),
    ("ERROR", "ERROR"),
    PHASES,
]


@pytest.mark.parametrize("phases", MANY, ids="-".join)
def test_filters_are_combined_by_and(history: str, phases: tuple[str, ...]) -> None:
    """UWS 2.2.2.1: PHASE again and again is a union; AFTER is strict; LAST is the newest ones."""
    jobs = listed(history)
    assert len(jobs) >= 8
    assert [j.created for j in jobs] == sorted((j.created for j in jobs), reverse=True)
    ages = ("", jobs[3].created, jobs[0].created)
    for after, last in itertools.product(ages, (0, 2, 3423)):
        filters = [("PHASE", phase) for phase in phases]
        filters += [("AFTER", after)] if after else []
        filters += [("LAST", str(last))] if last else []
        assert listed(history, *filters) == expected(jobs, phases, after, last), filters


@pytest.mark.parametrize("spelling", [str.lower, str.title], ids=lambda f: f.__name__)
def test_filters_have_any_case_and_may_be_in_company(
    history: str, spelling: Callable[[str], str]
) -> None:
    """DALI 4.1; what a list does not know is no filter."""
    filters = [(spelling("PHASE"), "ERROR"), (spelling("LAST"), "1"), ("REQUEST", "list")]
    assert listed(history, *filters) == listed(history, ("PHASE", "ERROR"), ("LAST", "1"))
    assert refuses(get(history, params={spelling("PHASE"): "error"}), 400, "PHASE takes")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("%Y-%m-%dT%H:%M:%S", 1), ("%Y-%m-%dT%H:%M:%S.%fZ", 0.001), ("%Y-%m-%d %H:%M", 60),
     ("%Y-%m-%dT%H:%MZ", 60), ("%Y-%m-%d", 86400), ("%Y%m%d", 86400), ("%Y", 366 * 86400)],
)  # fmt: skip
def test_after_takes_the_reduced_forms_of_iso_8601(
    history: str, written: str, seconds: float
) -> None:
    """UWS 2.2.2.1; the forms are those of uws-validator, and pyvo's with microseconds."""
    newest = datetime.fromisoformat(listed(history)[0].created)
    cut = newest.strftime(written)
    job = create(history)
    found = listed(history, ("AFTER", cut))
    assert found[0].id == job.rpartition("/")[2]
    assert all(
        datetime.fromisoformat(j.created) > newest - timedelta(seconds=seconds) for j in found
    )


@pytest.mark.parametrize("bad", ["", "0", "-1", "1.5", "all", "+1", "1 ", "٣", "9" * 30])
def test_last_is_a_whole_number_above_zero(history: str, bad: str) -> None:
    """UWS 2.2.2.1."""
    assert refuses(get(history, params={"LAST": bad}), 400, "LAST takes")


@pytest.mark.parametrize(
    "bad",
    ["", "sometext", "2015-26-10", "2015-02-30", "2015-10-26T09:00+01:00", "2015-W10", "2015-123"],
)
def test_after_is_a_time_in_utc(history: str, bad: str) -> None:
    """UWS 2.2.2.1: uws-validator wants a refusal; week and ordinal dates are not read."""
    assert refuses(get(history, params={"AFTER": bad}), 400, "AFTER")


@pytest.mark.parametrize("name", ["AFTER", "LAST"])
def test_a_filter_with_one_value_is_given_once(history: str, name: str) -> None:
    """DALI 4.2."""
    twice = [(name, "2020"), (name.lower(), "2020")]
    assert refuses(get(history, params=twice), 400, f"{name} is given 2 times")
