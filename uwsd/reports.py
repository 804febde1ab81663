"""What a backend's report does to a job: a pure function, through one table."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from uwsd.backends.base import Progress, Report, State
from uwsd.uws.job import PASSING, ErrorSummary, ErrorType, Job
from uwsd.uws.phase import Event, Phase

EVENTS: Mapping[State, tuple[Event, ...]] = {
    State.WAITING: (Event.QUEUE,),
    State.HELD: (Event.HOLD,),
    # A job may have started and ended between two looks: replay the step that nobody saw.
    State.RUNNING: (Event.START,),
    State.SUSPENDED: (Event.START, Event.SUSPEND),
    State.UNKNOWN: (Event.LOSE,),
    State.DONE: (Event.START, Event.COMPLETE),
    State.FAILED: (Event.START, Event.FAIL),
    State.EXCEEDED: (Event.START, Event.ABORT),  # UWS 2.1.4: as if the client had aborted it
    State.CANCELLED: (Event.ABORT,),
    State.LOST: (Event.FAIL,),
}
"""What each state that a backend reports does to a job."""

_FACT = re.compile(r"[a-z]+")
_TAKEN = PASSING | {"ignored"}


def told(job: Job, report: Report, *, at: datetime) -> Job:
    """Return ``job`` as it is, now that its backend has reported on it."""
    if job.phase.is_over:
        return _started_all_the_same(job, report)
    for event in EVENTS[report.state]:
        moment = report.started if event is Event.START else report.ended
        job = job.on(event, at=_between(job.created, moment or at, at))
    return replace(job, info=_info(job, report), error=_error(report))


def _started_all_the_same(job: Job, report: Report) -> Job:
    """Return a job that was aborted before anybody had seen it run: what it has made is there."""
    if job.started is not None or report.started is None or job.ended is None:
        return job
    return replace(job, started=_between(job.created, report.started, job.ended))


def progressed(job: Job, progress: Progress) -> Job:
    """Return ``job`` as it is, now that it has told how far it is."""
    if job.phase is not Phase.EXECUTING:
        return job
    return replace(job, info=_without_blanks(job.info | _progress(progress)))


def _info(job: Job, report: Report) -> dict[str, str]:
    info = dict(job.info)
    if not report.state.is_over:
        info["message"] = report.message
        info |= _progress(report.progress) if report.progress else {}
    if job.started:
        # They become names of elements: what cannot be one is left out.
        facts = {n: text for n, text in report.facts.items() if _FACT.fullmatch(n)}
        info |= {name: text for name, text in facts.items() if name not in _TAKEN}
    return _without_blanks(info)


def _progress(progress: Progress) -> dict[str, str]:
    fraction = f"{progress.fraction:.3f}".rstrip("0").rstrip(".")
    return {"progress": fraction, "activity": progress.activity}


def _without_blanks(info: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in info.items() if text}


def _between(earliest: datetime, at: datetime, latest: datetime) -> datetime:
    """An engine's clock may differ from ours: keep its word between the two we know."""
    return min(max(earliest, at), latest)


def _error(report: Report) -> ErrorSummary | None:
    # One that is cancelled without our asking: an abort of ours was written down before.
    if report.state in (State.FAILED, State.EXCEEDED, State.LOST, State.CANCELLED):
        may_help = report.transient or report.state in (State.LOST, State.CANCELLED)
        kind = ErrorType.TRANSIENT if may_help else ErrorType.FATAL
        return ErrorSummary(message=report.message or "the job failed", type=kind)
    return None
