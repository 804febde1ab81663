"""How a job ended, from what the engine knows of its container: one pure function."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from uwsd.backends.base import Report, State
from uwsd.backends.docker.orders import CANCEL, Order
from uwsd.backends.docker.settings import TWICE

_BY_SIGNAL = 128  # and above: the number of the signal that killed the main process
_KILLED = _BY_SIGNAL + signal.SIGKILL
_BY_ENGINE = frozenset((_KILLED, _BY_SIGNAL + signal.SIGTERM, 255))
"""What an engine leaves that is stopped, or finds containers of its former life when it starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a container that does not run any more."""

    state: Mapping[str, Any]  #: as the engine's ``inspect`` tells it
    complaint: str  #: what its entrypoint has said
    memory: int  #: bytes it had; 0: no limit
    unseen: tuple[float, float]  #: from when to when it may have been down, in seconds since 1970


def ending(order: Order, evidence: Evidence) -> Report:
    """Return the last word about a job."""
    state = evidence.state
    started, ended = moment(state["StartedAt"]), moment(state["FinishedAt"])
    if started is None or ended is None:
        return _failed(f"it could not be started: {state['Error'] or evidence.complaint}")
    ended = max(started, ended)  # the engine notes the two in no order
    found = _judged(order, evidence, int(state["ExitCode"]), ended.timestamp())
    return replace(found, exit_code=int(state["ExitCode"]), started=started, ended=ended)


def _judged(order: Order, evidence: Evidence, code: int, ended: float) -> Report:
    if order.stop and ended >= order.stop_at:
        return stopped(order)
    if evidence.state["OOMKilled"]:
        return Report(state=State.EXCEEDED, message=_over_memory(evidence.memory, code))
    if code == 0:
        return Report(state=State.DONE)
    if code == TWICE and evidence.complaint:
        return Report(state=State.LOST, message=evidence.complaint, transient=True)
    cause = _cause(code, evidence)
    if code in _BY_ENGINE and evidence.unseen[0] <= ended <= evidence.unseen[1]:
        return _failed(f"{cause}, as when the engine is stopped or started", transient=True)
    return _failed(cause)


def stopped(order: Order) -> Report:
    """Return why a job ended that we have ended."""
    if order.stop == CANCEL:
        return Report(state=State.CANCELLED, message="it was cancelled")
    message = f"it was stopped when it had run for {order.duration} s, as long as it may"
    return Report(state=State.EXCEEDED, message=message)


def moment(text: str) -> datetime | None:
    """Return a time of the engine's, in UTC; None for the one that stands for never."""
    time = datetime.fromisoformat(text)
    return None if time.year == 1 else time.astimezone(UTC)


def _failed(message: str, *, transient: bool = False) -> Report:
    return Report(state=State.FAILED, message=message, transient=transient)


def _over_memory(memory: int, code: int) -> str:
    limit = f"used more than {memory} bytes" if memory else "found no memory left on the machine"
    if code == 0:
        return f"a part of it was stopped because it {limit}; the rest ended with exit status 0"
    return f"it was stopped because it {limit}"


def _cause(code: int, evidence: Evidence) -> str:
    try:
        cause = f"killed by {signal.Signals(code - _BY_SIGNAL).name}"
    except ValueError:
        cause = f"exit status {code}"
    if evidence.complaint:
        return f"{cause}: {evidence.complaint}"
    if code == _KILLED and evidence.memory:  # some engines do not tell
        return f"{cause}; it may have used more than {evidence.memory} bytes"
    return cause
