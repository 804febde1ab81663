"""One storm over one site: the clients, the kills, the peace, and then the accounts."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from tests.chaos import accounts
from tests.chaos.accounts import Figures, Losable
from tests.chaos.clients import Client, fates
from tests.chaos.engines import Engine
from tests.chaos.site import Site
from tests.chaos.storm import Storm

_MINUTE = 60.0
_BROKEN = frozenset({"500", "502", "504"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How long and how hard."""

    seed: int
    jobs: int
    seconds: float
    every: float = 2.0  #: seconds from one kill to the next, on average


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a storm has shown."""

    figures: Figures
    kills: Counter[str]
    answers: Counter[str]
    settled: float  #: seconds from the end of the storm to the end of the last job

    def row(self, name: str) -> str:
        """Return a line of the table in docs/reliability.md."""
        f = self.figures
        kills = ", ".join(f"{count} {name}" for name, count in sorted(self.kills.items()))
        cells = (
            *(name, f"{f.jobs}", f"{self.kills.total()}: {kills}"),
            *(f"{f.phases[phase]}" for phase in ("COMPLETED", "ABORTED", "ERROR")),
            *(f"{f.transient}", f"{f.deleted}", f"{f.lost_posts}, {f.found} + {f.unanswered}"),
            *(f"{f.lost}", f"{f.twice}", f"{f.stuck}", f"{self.settled:.0f} s"),
        )
        return f"| {' | '.join(cells)} |"


HEADER = """\
| where | jobs | kills | COMPLETED | ABORTED | ERROR | of them transient | deleted | POSTs without answer, jobs of them | lost | twice | stuck | settled in |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def rage(site: Site, engine: Engine, running: Any, extent: Extent) -> Outcome:
    """Let a storm loose on a site; return what has become of everything."""
    losable = Losable()
    chosen = fates(random.Random(extent.seed), extent.jobs, extent.seconds)
    storm = Storm(
        (*site.targets, *engine.targets(running, site, losable)),
        extent.seed,
        seconds=extent.seconds,
        every=extent.every,
        busy=[fate.begins for fate in chosen],
    )
    answers: Counter[str] = Counter()
    clients = [Client(site.joblist, fate, answers) for fate in chosen]
    for client in clients:
        client.thread.start()
    storm.begin()
    storm.end()
    illness = engine.heal(running)
    peace = time.monotonic()
    patience = _MINUTE + engine.patience
    _join(clients, peace + patience)
    _until(lambda: not _unsettled(site), peace + patience)
    settled = time.monotonic() - peace
    stories = [client.story for client in clients]
    if any(name.startswith(engine.losers) for name in +storm.kills):
        losable = Losable(every=True)
    figures = accounts.examine(site, stories, losable)
    figures.faults += [*storm.faults, *filter(None, [illness])]
    # Who cannot be served now is told so (503), whatever has just been killed.
    figures.faults += [f"an answer {status}" for status in answers if status in _BROKEN]
    ids = {*accounts.listed(site), *(story.job_id for story in stories)}
    _see_clean(site, figures, lambda: engine.left(running, site), ids, patience)
    return Outcome(figures=figures, kills=storm.kills, answers=answers, settled=settled)


def _join(clients: Sequence[Client], until: float) -> None:
    for client in clients:
        client.thread.join(max(0.0, until - time.monotonic()))
    for client in clients:
        client.give_up()
    for client in clients:
        client.thread.join(_MINUTE)


def _unsettled(site: Site) -> list[str]:
    live = {"PHASE": ["QUEUED", "EXECUTING", "HELD", "SUSPENDED", "UNKNOWN"]}
    answer = requests.get(site.joblist, params=live, timeout=60)
    return answer.text.split("<uws:jobref ")[1:]


def _until(condition: Callable[[], object], deadline: float) -> bool:
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _see_clean(
    site: Site,
    figures: Figures,
    on_engine: Callable[[], Sequence[str]],
    job_ids: set[str],
    patience: float,
) -> None:
    """Nothing runs; and once all jobs are deleted, nothing of them is left anywhere."""
    deadline = time.monotonic() + patience
    if not _until(lambda: not accounts.running(job_ids), deadline):
        figures.faults += accounts.running(job_ids)
    for job_id in accounts.listed(site):
        assert requests.delete(f"{site.joblist}/{job_id}", timeout=60).ok

    def left() -> list[str]:
        folders = [entry.name for entry in site.workspaces.iterdir() if entry.name[0] != "."]
        rows = [f"{table}: {n} rows" for table in ("job", "execution") if (n := site.rows(table))]
        return [*folders, *rows, *on_engine(), *accounts.running(job_ids)]

    if not _until(lambda: not left(), time.monotonic() + patience):
        figures.faults += [f"left behind: {what}" for what in left()]
    before = figures.twice
    figures.twice = sum(count > 1 for count in site.witness.starts().values())
    if figures.twice > before:
        figures.faults.append("a job was started again after it was over")
