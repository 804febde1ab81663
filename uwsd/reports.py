"""What a backend's report does to a job: a pure function, through one table."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from uwsd.backends.base import Report, State
from uwsd.uws.job import ErrorSummary, ErrorType, Job
from uwsd.uws.phase import Event

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


def told(job: Job, report: Report, *, at: datetime) -> Job:
    """Return ``job`` as it is, now that its backend has reported on it."""
    if job.phase.is_over:
        return job
    for event in EVENTS[report.state]:
        moment = report.started if event is Event.START else report.ended
        job = job.on(event, at=_between(job.created, moment or at, at))
    info = {key: text for key, text in job.info.items() if key != "message"}
    if report.message and not report.state.is_over:
        info["message"] = report.message
    return replace(job, info=info, error=_error(report))


def _between(earliest: datetime, at: datetime, latest: datetime) -> datetime:
    """An engine's clock may differ from ours: keep its word between the two we know."""
    return min(max(earliest, at), latest)


def _error(report: Report) -> ErrorSummary | None:
    if report.state in (State.FAILED, State.EXCEEDED, State.LOST):
        may_help = report.transient or report.state is State.LOST
        kind = ErrorType.TRANSIENT if may_help else ErrorType.FATAL
        return ErrorSummary(message=report.message or "the job failed", type=kind)
    return None
