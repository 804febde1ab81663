"""How a job has ended: what its worker has written down, and what Slurm says of it.

The worker knows its command's exit status and the true times. Slurm knows who killed it, and
whether there was a worker at all. Where both speak, Slurm has the word on what killed the
command, and the worker on everything else.
"""

from dataclasses import replace

from uwsd.backends.base import Report, State
from uwsd.backends.records import ended, killed_by, moment
from uwsd.backends.slurm.listing import Listed
from uwsd.backends.slurm.script import NO_FOLDER, TAKEN
from uwsd.backends.slurm.states import meaning
from uwsd.worker.records import Exit

_NO_PROGRAM = (126, 127)
_SAID_BY_SCRIPT = frozenset({NO_FOLDER, TAKEN, *_NO_PROGRAM})


def needs_slurm(ending: Exit) -> bool:
    """Whether a worker's record leaves open who ended its command."""
    return ending.why == "stop" or (ending.why == "exit" and ending.signal is not None)


def needs_record(last: Listed) -> bool:
    """Whether a worker's record is to be expected of a job that has ended so."""
    means = meaning(last.state)
    return not (means.overrides or means.transient or last.code in _SAID_BY_SCRIPT)


def judged(ending: Exit, last: Listed | None, *, cancelled: bool) -> Report:
    """Return how a job has ended that has left a record; ``last``: as Slurm saw its end.

    ``cancelled``: whether that was our wish.
    """
    if ending.why == "stop" and cancelled:
        ending = ending._replace(why="cancel")
    report = ended(ending)
    means = meaning(last.state) if last else None
    is_failure = ending.why in ("stop", "exit") and report.state is not State.DONE
    if means is None or not means.overrides or not is_failure:
        return report
    return replace(
        report, state=means.state, message=means.message, transient=means.transient, exit_code=None
    )


def judged_unrecorded(last: Listed, *, cancelled: bool) -> Report:
    """Return how a job has ended that has left no record."""
    means = meaning(last.state)
    state, message, transient = means.state, means.message, means.transient
    if cancelled:
        state, message = State.CANCELLED, "it was cancelled"
    elif state is State.DONE:
        state, message = (
            State.FAILED,
            "it left no record: do its node and this machine share files?",
        )
    elif state is State.FAILED and not message:
        message, transient = _trouble(last), True
    return Report(
        state=state,
        message=message,
        transient=transient,
        # Slurm gives a start to a job that never had a node, too: the time of its end.
        started=moment(last.started) if last.node else None,
        ended=moment(last.ended),
    )


def _trouble(last: Listed) -> str:
    """Say why a batch script failed before there was a worker, or together with it."""
    where = f"its node {last.node}" if last.node else "its node"
    if last.code == NO_FOLDER:
        return f"{where} does not see the folder of the job"
    if last.code == TAKEN:
        return "it had been begun before"
    if last.code in _NO_PROGRAM:
        return f"{where} has no Python where it is looked for"
    if last.signal:
        return f"its worker was {killed_by(last.signal)}"
    status = f"exit status {last.code}" if last.code is not None else last.reason
    return f"{where} could not run it: {status}"
