"""One job that is followed: what it says now, from its records and from Slurm's word.

===============================  =========================================================
squeue says                      the job is
===============================  =========================================================
nothing, and was asked before    as its records say: it has only just been handed over
that it waits                    WAITING or HELD, whatever older records there are; RUNNING if
                                 its worker has started meanwhile
that it runs                     RUNNING, or ended as its exit record says
that it has ended                ended as `verdict` tells from the record and Slurm's word
nothing                          ended as its record or sacct says; LOST when neither does, time
                                 after time
===============================  =========================================================
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path

from uwsd.backends.base import Report, State
from uwsd.backends.progress import last_line, read_progress
from uwsd.backends.records import ended, moment
from uwsd.backends.slurm.listing import Listed, Queue
from uwsd.backends.slurm.notes import Note, SlurmJob
from uwsd.backends.slurm.options import Options
from uwsd.backends.slurm.states import OUR_HOLD, Meaning, holds, is_hopeless, meaning, waits_for
from uwsd.backends.slurm.verdict import judged, judged_unrecorded, needs_record, needs_slurm
from uwsd.worker.records import Exit, Start

_LATE = 60.0
"""Seconds within which a record shows on this machine, and Slurm's word comes after a record."""

_KEPT = 30.0
"""Seconds after which Slurm has on disk what it says: a controller saves every five."""

_REMEMBERED = 240.0
"""Seconds for which Slurm lists a job that somebody has cancelled: MinJobAge, or nearly."""

_WAITING = (State.WAITING, State.HELD)
_NOBODY = Report(state=State.LOST, message="there is no such job")


class Step(Enum):
    """What has to be told Slurm about a job."""

    RELEASE = auto()
    SETTLE = auto()  #: nothing: only to write down that it keeps the job
    SUBMIT = auto()  #: all of it, again
    CANCEL = auto()


class Tracked:
    """A job, and what is remembered of it between two questions."""

    def __init__(self, job: SlurmJob, note: Note, options: Options) -> None:
        self.job = job
        self.note = note
        self.since = time.monotonic()  #: when it was met, under its present id
        self.alive: float | None = None  #: when it was last known to be on the cluster
        self.report: Report | None = None  #: what it said last
        self.expected: Path | None = None  #: the record that would be news
        self.restarts = 0  #: how often Slurm has put it back
        self.step: Step | None = None
        self.stopping: float | None = None  #: when its end was last asked for
        self.is_open = False  #: whether it has ended, and somebody has still to say how
        self._options = options
        self._begun_as = -1  # the restart that it was seen to have begun with
        self._free: float | None = None  # since when it is listed, and not held by us
        self._missed: tuple[int, float] = (0, 0.0)  # how often, and since when, it is not listed
        self._hopeless: float | None = None
        self._over: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing else will be said of it."""
        return self.report is not None and self.report.state.is_over

    def settle(self, note: Note) -> None:
        """Write down what has become of it on the cluster."""
        self.note = note
        self.since = self.alive = time.monotonic()
        self.job.write_note(note)

    def look(self, queue: Queue, books: Mapping[str, Listed] | None, *, rung: bool) -> Report:
        """Return how it is now. ``rung``: whether the record that was expected is there."""
        self.step, self.is_open = None, False
        listed = queue.find(self.note.id, self.note.key)
        if listed is not None:
            self._missed = (0, 0.0)
            self.restarts = listed.restarts
            self.alive = queue.asked
        self.report = self._report(queue, listed, books, rung)
        return self.report

    def _report(
        self,
        queue: Queue,
        listed: Listed | None,
        books: Mapping[str, Listed] | None,
        rung: bool,
    ) -> Report:
        means = meaning(listed.state) if listed else None
        # A controller that was killed may have forgotten that it has started a job.
        has_begun = rung or self._begun_as >= self.restarts
        if listed and means and means.state in _WAITING and not has_begun:
            return self._waiting(listed, means)
        if not self.job.task_file.exists():
            return _NOBODY
        if listed and means and means.state.is_over:
            return self._ended(listed)
        if listed or queue.asked < self.since:
            return self._begun(listed, means)
        return self._vanished(books)

    def _waiting(self, listed: Listed, means: Meaning) -> Report:
        self._expect_start()
        reason = listed.reason.replace(" ", "_")
        if not self.note.settled:
            self.step = self._unsettled_step(reason)
        if self.step is Step.RELEASE:
            return Report(state=State.WAITING, message="it is being handed over")
        if held := holds(reason):
            return Report(state=State.HELD, message=held)
        if is_hopeless(reason) and self._give_up(reason):
            return self._begun(None, None)
        message = means.message or waits_for(reason)
        return Report(state=means.state, message=message + _estimate(listed.started))

    def _unsettled_step(self, reason: str) -> Step | None:
        """Return what is to be done about the hold that it was handed over with.

        A controller that was killed may not remember the release.
        """
        now = time.monotonic()
        if reason == OUR_HOLD:
            self._free = None
            return Step.RELEASE
        self._free = self._free or now
        return Step.SETTLE if now - self._free >= _KEPT else None

    def _give_up(self, reason: str) -> bool:
        """Say whether a job that can never start has been waited for long enough, and is closed."""
        now = time.monotonic()
        self._hopeless = self._hopeless or now
        if now - self._hopeless < self._options.hopeless or not self.job.forbid():
            return False
        self.job.close("launch", f"it can never start: {waits_for(reason)}")
        self.step = Step.CANCEL
        return True

    def _begun(self, listed: Listed | None, means: Meaning | None) -> Report:
        """Return what a job says that Slurm does not call ended."""
        start, ending = self._records()
        if ending is not None:
            return self._recorded(start, ending, None)
        if start is None and means is None:
            self._expect_start()
            return Report(state=State.WAITING, message=waits_for("None"))
        if start:
            self._begun_as = self.restarts
        self.expected = self.job.exit_file if start else self.job.try_file(self.restarts)
        state = means.state if means and means.state not in _WAITING else State.RUNNING
        return Report(
            state=state,
            message=means.message if means and state is means.state else "",
            started=moment(start.at if start else listed.started if listed else None),
            progress=read_progress(self.job.workspace),
            facts=self._facts(start),
        )

    def _ended(self, last: Listed) -> Report:
        """Return what a job says that Slurm has seen end."""
        start, ending = self._records()
        if ending is not None:
            return self._recorded(start, ending, last)
        if needs_record(last) and self._is_early():
            return self._unsettled(start, "it has ended; its record is awaited")
        report = judged_unrecorded(last, cancelled=self.job.cancel_file.exists())
        said = last_line(self.job.log_file) if report.state is State.FAILED else ""
        message = f"{report.message}: {said}" if said else report.message
        return replace(report, message=message, facts=self._facts(start))

    def _recorded(self, start: Start | None, ending: Exit, last: Listed | None) -> Report:
        cancelled = self.job.cancel_file.exists()
        if last is None and needs_slurm(ending) and not cancelled and self._is_early():
            return self._unsettled(start, "it has ended; Slurm has still to say why")
        report = judged(ending, last, cancelled=cancelled)
        return replace(report, facts=self._facts(start))

    def _unsettled(self, start: Start | None, message: str) -> Report:
        self.is_open, self.expected = True, None
        at = moment(start.at) if start else None
        return Report(state=State.RUNNING, message=message, started=at, facts=self._facts(start))

    def _vanished(self, books: Mapping[str, Listed] | None) -> Report:
        """Return what a job says that Slurm does not know."""
        count, since = self._missed
        self._missed = (count + 1, since or time.monotonic())
        booked = books.get(self.note.id) if books else None
        if (
            booked is not None
            and booked.name == self.note.key
            and meaning(booked.state).state.is_over
        ):
            return self._ended(booked)
        report = self._begun(None, None)
        if report.state.is_over or self.is_open:
            return report
        if books is None:
            return replace(report, message="Slurm does not list it, and its accounts are closed")
        patience = time.monotonic() - self._missed[1]
        if self._missed[0] > 1 and patience >= self._options.lost:
            return self._lost(report)
        return replace(report, message="Slurm does not list it any more")

    def _lost(self, report: Report) -> Report:
        message = "Slurm does not know it any more, and it has left no record"
        if report.state is State.WAITING and self._is_forgotten():
            self.step = Step.SUBMIT
            return replace(report, message="Slurm has lost it; it is handed over again")
        if report.state is State.WAITING and self.job.forbid():
            self.job.close("lost", message)
        self.step = Step.CANCEL
        return replace(
            ended(Exit("lost", message=message)), started=report.started, facts=report.facts
        )

    def _is_forgotten(self) -> bool:
        """Whether the cluster cannot have listed its end between two questions."""
        return self.alive is not None and self._missed[1] - self.alive < _REMEMBERED

    def _records(self) -> tuple[Start | None, Exit | None]:
        """Return what its worker has left: not one of a try before the present one."""
        start, restart = self.job.last_start()
        return (None, None) if restart < self.restarts else (start, self.job.exit())

    def _expect_start(self) -> None:
        self.expected = self.job.try_file(self.restarts)

    def _is_early(self) -> bool:
        """Whether what is missing about its end may still come."""
        now = time.monotonic()
        self._over = self._over or now
        return now - self._over < _LATE

    def _facts(self, start: Start | None) -> Mapping[str, str]:
        known = {"slurm": self.note.id, **(start.where if start else {})}
        return {name: text for name, text in known.items() if text and name != "restart"}


def _estimate(start: float | None) -> str:
    """Say when a job may start, if Slurm says so; not by the second, since that changes always."""
    if start is None:
        return ""
    coarse = timedelta(minutes=10)
    at = datetime.fromtimestamp(start, UTC)
    at += -(at - datetime.min.replace(tzinfo=UTC)) % coarse
    return f"; it may start at {at:%Y-%m-%d %H:%M} UTC"
