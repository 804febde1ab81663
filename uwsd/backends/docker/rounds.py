"""One look at all jobs of a backend: what each is, by the engine's list, and what is to be done.

=================  ==============================================================================
the engine lists   the job is
=================  ==============================================================================
nothing            WAITING, if it was never started: for inputs, its image, a slot, a GPU;
                   else UNKNOWN, and LOST when two looks agree: somebody has removed it
created            WAITING: it is started once, by `Crew`, as soon as it may
running            RUNNING; ended when it has had its time, or was cancelled
paused             SUSPENDED; that time is not its own
exited, dead       what `endings` makes of it. That is written down, and the container removed
anything else      UNKNOWN
=================  ==============================================================================
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

from uwsd.backends.base import BackendError, Handle, Report, State, Unreachable
from uwsd.backends.docker.bell import Bell
from uwsd.backends.docker.crew import Crew
from uwsd.backends.docker.endings import Evidence, ending, moment, stopped
from uwsd.backends.docker.engine import Engine, Listed
from uwsd.backends.docker.options import Options
from uwsd.backends.docker.orders import DURATION, Order, Orders
from uwsd.backends.inputs import Inputs
from uwsd.backends.line import in_line
from uwsd.backends.names import key
from uwsd.backends.progress import read_progress


class Stage(Enum):
    """Where a container is in its life."""

    MADE = auto()
    RUNNING = auto()
    PAUSED = auto()
    ENDED = auto()


_STAGES: Mapping[str, Stage] = {
    "created": Stage.MADE,
    "configured": Stage.MADE,
    "initialized": Stage.MADE,
    "running": Stage.RUNNING,
    "restarting": Stage.RUNNING,
    "stopping": Stage.RUNNING,
    "paused": Stage.PAUSED,
    "exited": Stage.ENDED,
    "stopped": Stage.ENDED,
    "dead": Stage.ENDED,
}
"""Docker's words for the state of a container, and Podman's."""

_SETTLE = 1.0  # seconds after which a start that nobody saw answered has shown itself
_KILL_AGAIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clock:
    """When a container started, by the engine, and on the monotonic clock."""

    started: float
    begin: float


class Rounds:
    """Looks after the jobs of one backend; what it remembers, another instance finds again."""

    def __init__(
        self,
        options: Options,
        root: Path,
        engine: Engine,
        orders: Orders,
        inputs: Inputs,
        crew: Crew,
        bell: Bell,
    ) -> None:
        self._options = options
        self._root = root
        self._engine = engine
        self._orders = orders
        self._inputs = inputs
        self._crew = crew
        self._bell = bell
        self._lock = threading.Lock()
        self._clocks: dict[str, _Clock] = {}
        self._missed: dict[str, float] = {}
        self._pressed: dict[str, tuple[str, float]] = {}
        self._looked_at = 0.0
        self._unseen_since = 0.0
        self._fetched: Mapping[Handle, Report] = {}

    def look(self) -> Mapping[str, Report]:
        """Do what is to be done, and report on every job that is not over."""
        with self._lock:
            listed = self._list()
            orders = self._orders.open()
            for job in listed.keys() - orders.keys():
                if self._orders.has(job):
                    self._crew.discard(job, listed[job].id)
            self._fetched = self._inputs.poll([Handle(j) for j, o in orders.items() if o.fetching])
            reports = {j: self._guarded(j, o, listed.get(j)) for j, o in orders.items()}
            known = {job: report for job, report in reports.items() if report is not None}
            ready = sorted(reports.keys() - known.keys(), key=lambda job: orders[job].since)
            self._forget(listed, orders)
            return {**known, **self._start([(j, orders[j]) for j in ready], listed)}
