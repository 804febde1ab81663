"""What has to be true when the storm is over, job by job."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests
from lxml import etree

from tests.chaos.clients import FINAL, Story
from tests.chaos.site import Site
from uwsd.uws.documents import UWS
from uwsd.worker.processes import everybody

_RANKS = {"PENDING": 0, "QUEUED": 1, "HELD": 1, "EXECUTING": 2, "SUSPENDED": 2}
"""A job never goes back, unless its engine puts it back. UNKNOWN may come at any time before the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the server tells of a job."""

    job_id: str
    phase: str
    error: str
    is_transient: bool
    times: tuple[str, ...]  #: of its creation, start and end, as far as they are known
    results: dict[str, str]  #: their URLs
    info: str  #: what jobInfo tells, for people

    @classmethod
    def by(cls, url: str) -> "Told | None":
        """Ask for a job; None if there is none."""
        answer = requests.get(url, timeout=60)
        if answer.status_code == 404:
            return None
        assert answer.ok, f"{url}: {answer.status_code}"
        root = etree.fromstring(answer.content)
        said = {name: root.findtext(f"{{{UWS}}}{name}") or "" for name in _TIMES}
        summary = root.find(f"{{{UWS}}}errorSummary")
        return cls(
            job_id=url.rpartition("/")[2],
            info=" ".join(root.xpath("string(*[local-name()='jobInfo'])").split()),
            phase=root.findtext(f"{{{UWS}}}phase") or "",
            error="" if summary is None else summary.findtext(f"{{{UWS}}}message") or "",
            is_transient=summary is not None and summary.get("type") == "transient",
            times=tuple(filter(None, said.values())),
            results={
                str(result.get("id")): str(result.get("{http://www.w3.org/1999/xlink}href"))
                for result in root.iter(f"{{{UWS}}}result")
            },
        )

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to come."""
        return self.phase in FINAL or self.phase == "PENDING"


_TIMES = ("creationTime", "startTime", "endTime")


@dataclass(slots=True)
class Figures:
    """The sums, and each thing that is not as it has to be."""

    phases: Counter[str] = field(default_factory=Counter)
    lost_posts: int = 0  #: creations whose answer was lost
    found: int = 0  #: jobs that came of these, and were found by their clients
    unanswered: int = 0  #: and those that nobody knows of
    deleted: int = 0
    transient: int = 0  #: jobs that their engine lost, and that say so
    lost: int = 0
    twice: int = 0
    stuck: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def jobs(self) -> int:
        """All jobs that there were."""
        return sum(self.phases.values()) + self.deleted + self.lost


def listed(site: Site) -> dict[str, str]:
    """Return the RUNID of every job in the list, by the job's id."""
    answer = requests.get(site.joblist, timeout=60)
    assert answer.ok, answer.text
    return {
        str(ref.get("id")): ref.findtext(f"{{{UWS}}}runId") or ""
        for ref in etree.fromstring(answer.content)
    }


def examine(site: Site, stories: list[Story], losable: "Losable", *, may_requeue: bool) -> Figures:
    """Compare what the server tells of every job with what its client wanted, and was told."""
    figures = Figures()
    there = listed(site)
    known = {story.job_id for story in stories}
    for story in stories:
        figures.faults += story.faults
        figures.faults += _history(story, may_requeue)
        figures.lost_posts += story.lost_posts
        figures.found += story.was_found
        if story.deleted:
            _see_deleted(figures, story, there)
        elif story.url:
            _see(figures, site, story, losable)
        extras = [id_ for id_, name in there.items() if name == story.fate.run_id]
        for job_id in set(extras) - known:
            figures.unanswered += 1
            _see(figures, site, _unanswered(story, f"{site.joblist}/{job_id}"), losable)
        if len(set(extras) - known) > story.lost_posts:
            figures.faults.append(f"{story.fate.run_id}: more jobs than creations")
    for job_id, times in site.witness.starts().items():
        if times > 1:
            figures.twice += 1
            figures.faults.append(f"{job_id} was started {times} times")
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Losable:
    """The jobs that the engine itself may have lost, because it was killed."""

    every: bool = False
    these: set[str] = field(default_factory=set)

    def __contains__(self, job_id: str) -> bool:
        return self.every or job_id in self.these


def _unanswered(story: Story, url: str) -> Story:
    """Return what has to become of a job that no client knows of."""
    fate = replace(story.fate, abort_after=None, runs=story.fate.runs and not story.fate.run_after)
    return Story(fate=fate, url=url)


def _see_deleted(figures: Figures, story: Story, there: dict[str, str]) -> None:
    figures.deleted += 1
    if story.job_id in there or Told.by(story.url) is not None:
        figures.faults.append(f"{story.job_id} is there, and was deleted")


def _see(figures: Figures, site: Site, story: Story, losable: Losable) -> None:
    told = Told.by(story.url)
    if told is None:
        figures.lost += 1
        figures.faults.append(f"{story.job_id} is gone")
        return
    figures.phases[told.phase] += 1
    if not told.is_settled:
        figures.stuck += 1
        where = site.execution(told.job_id)
        figures.faults.append(f"{told.job_id} is {told.phase}: {told.info or 'no word'}; {where}")
        return
    if told.phase in {"ERROR", "ABORTED"} and told.is_transient and told.job_id in losable:
        figures.transient += 1
        return
    figures.faults += [f"{told.job_id} {problem}" for problem in _problems(site, story, told)]


def _problems(site: Site, story: Story, told: Told) -> Iterator[str]:
    count = site.witness.starts()[told.job_id]
    expected = _expected(story)
    if told.phase not in expected:
        yield f"is {told.phase} ({told.error}), not {' or '.join(expected)}"
    if story.phases and story.phases[-1] in FINAL and story.phases[-1] != told.phase:
        yield f"was {story.phases[-1]} and is {told.phase}"
    if list(told.times) != sorted(told.times):
        yield f"has odd times: {told.times}"
    if told.phase in {"COMPLETED", "ERROR"} and (len(told.times), count) != (3, 1):
        yield f"is {told.phase} after {count} starts, with times {told.times}"
    if told.phase == "PENDING" and count:
        yield "was started, and is PENDING"
    if told.phase == "ERROR" and not re.search(rf"\b{story.fate.code}$", told.error):
        yield f"ended with {story.fate.code}, and not with {told.error}"
    if told.phase in {"COMPLETED", "ERROR"}:
        yield from _results(story, told)


def _expected(story: Story) -> tuple[str, ...]:
    fate = story.fate
    if story.aborted:
        return ("ABORTED",)
    if not fate.runs:
        natural = "PENDING"
    elif fate.duration is not None:
        natural = "ABORTED"
    else:
        natural = "ERROR" if fate.code else "COMPLETED"
    return (natural,) if fate.abort_after is None else (natural, "ABORTED")


def _results(story: Story, told: Told) -> Iterator[str]:
    for name in ("result", "started", "stdout", "stderr"):
        if name not in told.results:
            yield f"has no {name}"
            return
    content = requests.get(told.results["result"], timeout=60).text
    if content != story.fate.text:
        yield f"has the result {content!r}, not {story.fate.text!r}"
    started = requests.get(told.results["started"], timeout=60).text.splitlines()
    if len(started) != 1 or told.job_id not in started[0]:
        yield f"has been started so: {started}"


def _history(story: Story, may_requeue: bool) -> Iterator[str]:
    ranks = [_RANKS.get(phase, 3) for phase in story.phases if phase != "UNKNOWN"]
    if may_requeue:
        ranks = [1 if rank == 2 else rank for rank in ranks]
    finals = [phase for phase in story.phases if phase in FINAL]
    if ranks != sorted(ranks) or len(finals) > 1:
        yield f"{story.job_id} went {' '.join(story.phases)}"


def running(job_ids: set[str]) -> list[str]:
    """Return the processes that run in the name of one of these jobs."""
    found = []
    for status in everybody():
        try:
            environment = Path(f"/proc/{status.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for entry in environment:
            name, _, value = entry.partition(b"=")
            if name == b"UWSD_JOB_ID" and value.decode() in job_ids and status.state != "Z":
                found.append(f"process {status.pid} of job {value.decode()}")
    return found
