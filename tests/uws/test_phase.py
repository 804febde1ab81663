"""The state machine, against the standard's: UWS 1.1 section 2.1.3, figure and text."""

import itertools

import pytest

from uwsd.uws.errors import WrongPhase
from uwsd.uws.phase import Event, Phase, after

# Written down from the standard, row by row, and not from the code.
STANDARD = {
    ("PENDING", "RUN"): "QUEUED",
    ("PENDING", "HOLD"): "HELD",
    ("PENDING", "ABORT"): "ABORTED",
    ("PENDING", "FAIL"): "ERROR",
    ("QUEUED", "QUEUE"): "QUEUED",
    ("QUEUED", "START"): "EXECUTING",
    ("QUEUED", "HOLD"): "HELD",
    ("QUEUED", "LOSE"): "UNKNOWN",
    ("QUEUED", "ABORT"): "ABORTED",
    ("QUEUED", "FAIL"): "ERROR",
    ("EXECUTING", "QUEUE"): "QUEUED",
    ("EXECUTING", "START"): "EXECUTING",
    ("EXECUTING", "COMPLETE"): "COMPLETED",
    ("EXECUTING", "FAIL"): "ERROR",
    ("EXECUTING", "ABORT"): "ABORTED",
    ("EXECUTING", "SUSPEND"): "SUSPENDED",
    ("EXECUTING", "HOLD"): "HELD",
    ("EXECUTING", "LOSE"): "UNKNOWN",
    ("HELD", "RUN"): "QUEUED",
    ("HELD", "QUEUE"): "QUEUED",
    ("HELD", "START"): "EXECUTING",
    ("HELD", "HOLD"): "HELD",
    ("HELD", "LOSE"): "UNKNOWN",
    ("HELD", "ABORT"): "ABORTED",
    ("HELD", "FAIL"): "ERROR",
    ("SUSPENDED", "QUEUE"): "QUEUED",
    ("SUSPENDED", "START"): "EXECUTING",
    ("SUSPENDED", "SUSPEND"): "SUSPENDED",
    ("SUSPENDED", "LOSE"): "UNKNOWN",
    ("SUSPENDED", "ABORT"): "ABORTED",
    ("SUSPENDED", "FAIL"): "ERROR",
    ("UNKNOWN", "QUEUE"): "QUEUED",
    ("UNKNOWN", "START"): "EXECUTING",
    ("UNKNOWN", "HOLD"): "HELD",
    ("UNKNOWN", "LOSE"): "UNKNOWN",
    ("UNKNOWN", "ABORT"): "ABORTED",
    ("UNKNOWN", "FAIL"): "ERROR",
    ("COMPLETED", "ARCHIVE"): "ARCHIVED",
    ("ERROR", "ARCHIVE"): "ARCHIVED",
    ("ABORTED", "ARCHIVE"): "ARCHIVED",
}


@pytest.mark.parametrize(("phase", "event"), list(itertools.product(Phase, Event)))
def test_every_event_in_every_phase_does_what_the_standard_says(phase: Phase, event: Event) -> None:
    expected = STANDARD.get((phase.value, event.name))
    if expected is None:
        with pytest.raises(WrongPhase, match=f"a job that is {phase} cannot {event.name}"):
            after(phase, event)
    else:
        assert after(phase, event).value == expected


def test_a_wait_blocks_in_the_three_active_phases_only() -> None:
    assert {p.value for p in Phase if p.may_block} == {"PENDING", "QUEUED", "EXECUTING"}


def test_nothing_leads_out_of_the_end() -> None:
    for phase in Phase:
        for event in Event:
            if phase.is_over and (phase.value, event.name) in STANDARD:
                assert after(phase, event).is_over
