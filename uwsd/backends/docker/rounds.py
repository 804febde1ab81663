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
from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from uwsd.backends.base import BackendError, Handle, Report, State, Unreachable
from uwsd.backends.docker.crew import Crew
from uwsd.backends.docker.endings import Evidence, ending, moment, stopped
from uwsd.backends.docker.engine import Listed
from uwsd.backends.docker.line import STARTING, Line
from uwsd.backends.docker.orders import DURATION, Order
from uwsd.backends.docker.shared import Shared
from uwsd.backends.docker.states import STAGES, Stage
from uwsd.backends.names import key
from uwsd.backends.progress import read_progress

_SETTLE = 1.0  # seconds after which a start that nobody saw answered has shown itself
_KILL_AGAIN = 5.0
_VISIT = 30.0  # seconds between two doubts that a container runs which the engine says does


class _Clock(NamedTuple):
    """When a container started."""

    started: datetime  #: by the engine
    begin: float  #: on the monotonic clock: nobody sets that


class Rounds:
    """Looks after the jobs of one backend; what it remembers, another instance finds again."""

    def __init__(self, shared: Shared, crew: Crew) -> None:
        self._shared = shared
        self._engine = shared.engine
        self._orders = shared.orders
        self._bell = shared.bell
        self._crew = crew
        self._line = Line(shared, crew)
        self._lock = threading.Lock()
        self._clocks: dict[str, _Clock] = {}
        self._visited: dict[str, float] = {}
        self._missed: dict[str, float] = {}
        self._pressed: dict[str, tuple[str, float]] = {}
        self._looked_at = 0.0
        self._unseen = (0.0, 0.0)
        self._fetched: Mapping[Handle, Report] = {}
        self._busy: Set[str] = frozenset()

    def look(self) -> Mapping[str, Report]:
        """Do what is to be done, and report on every job that is not over."""
        with self._lock:
            self._busy = self._crew.busy  # what it does meanwhile the list may not show yet
            listed = self._list()
            orders = self._orders.open()
            for job in listed.keys() - orders.keys():
                if self._orders.has(job):
                    self._crew.discard(job, listed[job].id)
            fetching = [Handle(job) for job, order in orders.items() if order.fetching]
            self._fetched = self._shared.inputs.poll(fetching)
            reports = {j: self._guarded(j, o, listed.get(j)) for j, o in orders.items()}
            known = {job: report for job, report in reports.items() if report is not None}
            ready = sorted(reports.keys() - known.keys(), key=lambda job: orders[job].since)
            self._forget(listed, orders)
            return {**known, **self._line.serve([(j, orders[j]) for j in ready], listed)}

    def _list(self) -> Mapping[str, Listed]:
        listed = self._engine.listed(self._shared.labels)
        before = self._orders.last_seen()
        if self._engine.failed_at >= self._looked_at:
            self._unseen = before, time.time()
        self._looked_at = time.monotonic()
        return listed

    def _forget(self, listed: Mapping[str, Listed], orders: Mapping[str, Order]) -> None:
        ids = {line.id for line in listed.values()}
        self._clocks = {id_: clock for id_, clock in self._clocks.items() if id_ in ids}
        self._visited = {id_: when for id_, when in self._visited.items() if id_ in ids}
        self._pressed = {job: last for job, last in self._pressed.items() if job in orders}
        self._missed = {job: since for job, since in self._missed.items() if job in orders}
        self._crew.forget(orders)

    def _guarded(self, job: str, order: Order, seen: Listed | None) -> Report | None:
        """One job that cannot be seen to must not keep the others from it."""
        try:
            return self._report(job, order, seen)
        except Unreachable:
            raise
        except BackendError as error:
            return Report(state=State.UNKNOWN, message=str(error))

    def _report(self, job: str, order: Order, seen: Listed | None) -> Report | None:
        """Return how a job is; None if it is ready to be started."""
        if seen is None:
            return self._unlisted(job, order)
        self._missed.pop(job, None)
        match STAGES.get(seen.word):
            case Stage.MADE:
                return self._made(job, order, seen)
            case Stage.RUNNING:
                return self._running(job, order, seen)
            case Stage.PAUSED:
                return self._paused(job, order, seen)
            case Stage.ENDED:
                return self._ended(job, order, seen)
        message = f"the engine says that its container is {seen.word!r}"
        return Report(state=State.UNKNOWN, message=message)

    def _unlisted(self, job: str, order: Order) -> Report | None:
        if job in self._busy | self._crew.busy:
            return STARTING
        if order.stop:
            return self._line.close(job, order, stopped(order))
        if order.starting:
            return self._missing(job)
        return self._line.wait(job, order, self._fetched.get(Handle(job)))

    def _made(self, job: str, order: Order, seen: Listed) -> Report | None:
        if order.stop:
            self._crew.withdraw(job, seen.id, stopped(order))
            return Report(state=State.WAITING, message="it is being cancelled")
        if job in self._busy | self._crew.busy:
            return STARTING
        if (unsettled := order.starting + _SETTLE - time.time()) > 0:
            self._bell.ring_at(time.monotonic() + unsettled)
            return STARTING
        return self._line.trouble(job)

    def _running(self, job: str, order: Order, seen: Listed) -> Report:
        clock = self._clock(seen)
        if order.paused_since:
            order = self._resumed(job, order)
        if order.duration and not order.stop:
            left = clock.begin + order.paused + order.duration - time.monotonic()
            if left > 0:
                self._bell.ring_at(time.monotonic() + left)
            elif self._orders.ask_to_stop(job, DURATION):
                order = self._orders.get(job) or order
        if order.stop:
            self._press(job, order, seen)
        elif time.monotonic() - self._visited.setdefault(seen.id, time.monotonic()) > _VISIT:
            self._visited[seen.id] = time.monotonic()
            self._crew.visit(job, seen.id)
        progress = read_progress(self._shared.root / job)
        facts = self._facts(order, seen)
        return Report(state=State.RUNNING, started=clock.started, progress=progress, facts=facts)

    def _paused(self, job: str, order: Order, seen: Listed) -> Report:
        clock = self._clock(seen)
        if not order.paused_since:
            self._orders.change(job, paused_since=time.time())
        if order.stop:
            self._press(job, order, seen, at_once=True)
        message = "its container is paused"
        facts = self._facts(order, seen)
        return Report(state=State.SUSPENDED, message=message, started=clock.started, facts=facts)

    def _ended(self, job: str, order: Order, seen: Listed) -> Report:
        known = self._known(seen)
        code = known["State"]["ExitCode"]
        evidence = Evidence(
            state=known["State"],
            complaint=self._engine.complaint(seen.id) if code else "",
            memory=int(known["HostConfig"]["Memory"]),
            unseen=self._unseen,
        )
        report = replace(ending(order, evidence), facts=self._facts(order, seen))
        self._orders.close(job, report)
        self._crew.discard(job, seen.id)
        return report

    def _missing(self, job: str) -> Report:
        first = self._missed.setdefault(job, time.monotonic())
        is_sure = time.monotonic() - first > _SETTLE
        if not is_sure or self._engine.inspect(key(self._shared.root, job)) is not None:
            self._bell.ring_at(time.monotonic() + _SETTLE)
            return Report(state=State.UNKNOWN, message="the engine does not list it")
        message = "its container was removed by somebody, and nobody saw how it ended"
        report = Report(state=State.LOST, message=message, transient=True)
        self._orders.close(job, report)
        return report

    def _resumed(self, job: str, order: Order) -> Order:
        paused = order.paused + time.time() - order.paused_since
        self._orders.change(job, paused=paused, paused_since=0)
        return self._orders.get(job) or order

    def _press(self, job: str, order: Order, seen: Listed, *, at_once: bool = False) -> None:
        """Ask a job to end; make sure after its time of grace."""
        rest = 0 if at_once else order.stop_at + self._shared.options.grace - time.time()
        signal = "SIGTERM" if rest > 0 else "SIGKILL"
        last, when = self._pressed.get(job, ("", 0.0))
        is_due = signal != last or (rest <= 0 and when + _KILL_AGAIN < time.monotonic())
        if is_due and self._crew.kill(job, seen.id, signal):
            self._pressed[job] = signal, time.monotonic()
        self._bell.ring_at(time.monotonic() + (rest if rest > 0 else _KILL_AGAIN))

    def _clock(self, seen: Listed) -> _Clock:
        if seen.id not in self._clocks:
            started = moment(self._known(seen)["State"]["StartedAt"])
            if started is None:
                raise BackendError("the engine does not say when it started")
            ago = time.time() - started.timestamp()
            self._clocks[seen.id] = _Clock(started, time.monotonic() - ago)
        return self._clocks[seen.id]

    def _known(self, seen: Listed) -> Mapping[str, Any]:
        known = self._engine.inspect(seen.id)
        if known is None:
            raise BackendError("the engine is just removing it")
        return known

    def _facts(self, order: Order, seen: Listed) -> Mapping[str, str]:
        return {"container": seen.id[:12], "image": self._shared.options.image_of(order.task)}
