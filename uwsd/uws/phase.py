"""The state machine of a job, once, as a table (UWS 1.1 section 2.1.3)."""

from collections.abc import Mapping
from enum import StrEnum, auto

from uwsd.uws.errors import WrongPhase


class Phase(StrEnum):
    """The ten phases, as they are written in documents."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"
    UNKNOWN = "UNKNOWN"
    HELD = "HELD"
    SUSPENDED = "SUSPENDED"
    ARCHIVED = "ARCHIVED"

    @property
    def may_block(self) -> bool:
        """Whether a WAIT for a change is worth while (2.2.1.2)."""
        return self in {Phase.PENDING, Phase.QUEUED, Phase.EXECUTING}

    @property
    def is_over(self) -> bool:
        """Whether the job will never run again."""
        return self in {Phase.COMPLETED, Phase.ERROR, Phase.ABORTED, Phase.ARCHIVED}


class Event(StrEnum):
    """What can happen to a job."""

    RUN = auto()  #: the client commits the job: PHASE=RUN (2.2.3.5)
    ABORT = auto()  #: the client, or a limit, stops it (2.2.3.6, 2.1.4)
    QUEUE = auto()  #: the engine has it and will start it by itself
    HOLD = auto()  #: the engine will not start it by itself
    START = auto()
    SUSPEND = auto()
    LOSE = auto()  #: nobody can say how it is
    COMPLETE = auto()
    FAIL = auto()
    ARCHIVE = auto()  #: destruction time has come; the metadata is kept


_STOP = {Event.ABORT: Phase.ABORTED, Event.FAIL: Phase.ERROR}
_PUT_AWAY = {Event.ARCHIVE: Phase.ARCHIVED}

TRANSITIONS: Mapping[Phase, Mapping[Event, Phase]] = {
    # HELD straight from PENDING: the text of 2.1.3 has it, the diagram has not.
    Phase.PENDING: {Event.RUN: Phase.QUEUED, Event.HOLD: Phase.HELD, **_STOP},
    Phase.QUEUED: {
        Event.QUEUE: Phase.QUEUED,
        Event.START: Phase.EXECUTING,
        Event.HOLD: Phase.HELD,
        Event.LOSE: Phase.UNKNOWN,
        **_STOP,
    },
    # The diagram has no way back to QUEUED; engines requeue what was preempted or lost its node.
    Phase.EXECUTING: {
        Event.QUEUE: Phase.QUEUED,
        Event.START: Phase.EXECUTING,
        Event.HOLD: Phase.HELD,
        Event.SUSPEND: Phase.SUSPENDED,
        Event.LOSE: Phase.UNKNOWN,
        Event.COMPLETE: Phase.COMPLETED,
        **_STOP,
    },
    # The diagram draws HELD -> EXECUTING; 2.2.3.5 lets RUN lead to QUEUED first. An engine
    # that lets go of a held job by itself is believed: QUEUE, START.
    Phase.HELD: {
        Event.RUN: Phase.QUEUED,
        Event.QUEUE: Phase.QUEUED,
        Event.START: Phase.EXECUTING,
        Event.HOLD: Phase.HELD,
        Event.LOSE: Phase.UNKNOWN,
        **_STOP,
    },
    Phase.SUSPENDED: {
        Event.QUEUE: Phase.QUEUED,
        Event.START: Phase.EXECUTING,
        Event.SUSPEND: Phase.SUSPENDED,
        Event.LOSE: Phase.UNKNOWN,
        **_STOP,
    },
    # No arrow in the diagram leaves UNKNOWN; the text says the client is to ask again.
    Phase.UNKNOWN: {
        Event.QUEUE: Phase.QUEUED,
        Event.START: Phase.EXECUTING,
        Event.HOLD: Phase.HELD,
        Event.LOSE: Phase.UNKNOWN,
        **_STOP,
    },
    Phase.COMPLETED: _PUT_AWAY,
    Phase.ERROR: _PUT_AWAY,
    Phase.ABORTED: _PUT_AWAY,
    Phase.ARCHIVED: {},
}


def after(phase: Phase, event: Event) -> Phase:
    """Return the phase that follows, or raise `WrongPhase`."""
    try:
        return TRANSITIONS[phase][event]
    except KeyError:
        raise WrongPhase(f"a job that is {phase} cannot {event.name}") from None
