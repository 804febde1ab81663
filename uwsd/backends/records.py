"""What a worker's records tell, for every backend whose jobs have a worker of uwsd's own."""

import signal
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from uwsd.backends.base import Report, State, Task
from uwsd.worker.records import Exit, Order

ENDINGS: Mapping[str, tuple[State, str]] = {
    "exit": (State.FAILED, ""),
    "cancel": (State.CANCELLED, "it was cancelled"),
    "duration": (State.EXCEEDED, ""),
    "memory": (State.EXCEEDED, ""),
    "launch": (State.FAILED, ""),
    "fetch": (State.FAILED, ""),
    "stop": (State.LOST, "it was stopped from outside, as when the machine goes down"),
    "restart": (State.LOST, "the machine was restarted while it ran"),
    "lost": (State.LOST, "its worker is gone, and nobody saw how it ended"),
}
"""What each ``why`` of an exit record means, and what to say of it if the record does not."""


def order(task: Task, *, grace: float) -> Order:
    """Return the task as its worker is told of it."""
    return Order(
        command=list(task.command),
        environment=dict(task.environment),
        fetch=[asdict(item) for item in task.fetch],
        duration=task.duration,
        memory=task.memory,
        grace=grace,
    )


def ended(ending: Exit) -> Report:
    """Return what an exit record says."""
    state, message = ENDINGS[ending.why]
    if ending.why == "exit":
        state = State.DONE if ending.code == 0 else state
        message = _cause(ending)
    return Report(
        state=state,
        message=ending.message or message,
        exit_code=ending.code,
        started=moment(ending.started),
        ended=moment(ending.ended),
        transient=state is State.LOST,
    )


def moment(seconds: float | None) -> datetime | None:
    """Return the time that is so many seconds after 1970."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def killed_by(number: int) -> str:
    """Return a sentence of the signal that ended a command."""
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:  # one of the many real-time signals that have no name
        return f"killed by signal {number}"


def _cause(ending: Exit) -> str:
    if ending.signal:
        return killed_by(ending.signal)
    return f"exit status {ending.code}" if ending.code else ""
