"""What Slurm's words mean: states of jobs, and reasons for which they wait. Tables only.

The states are those of slurm.h, from 20.11 to 26.05. squeue prints the flag instead of the
state where one is set, as in COMPLETING.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from uwsd.backends.base import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a state of Slurm's says of a job."""

    state: State
    message: str = ""
    transient: bool = False
    overrides: bool = False
    """Whether it tells why a command was killed, which its worker cannot know."""


_WAITING = Meaning(state=State.WAITING)
_RUNNING = Meaning(state=State.RUNNING)
_BROKEN = Meaning(state=State.FAILED, message="its node could not start it", transient=True)

STATES: Mapping[str, Meaning] = {
    "PENDING": _WAITING,
    "CONFIGURING": Meaning(state=State.WAITING, message="its node is being made ready"),
    "POWER_UP_NODE": Meaning(state=State.WAITING, message="its node is being started"),
    "REQUEUED": _WAITING,
    "REQUEUE_FED": _WAITING,
    "REQUEUE_HOLD": Meaning(state=State.HELD, message="Slurm has put it back, and holds it"),
    "SPECIAL_EXIT": Meaning(state=State.HELD, message="Slurm has put it back, and holds it"),
    "RESV_DEL_HOLD": Meaning(state=State.HELD, message="its reservation is gone"),
    "RUNNING": _RUNNING,
    # Its end is decided, but hidden by the flag.
    "COMPLETING": _RUNNING,
    "STAGE_OUT": _RUNNING,
    "SIGNALING": _RUNNING,
    "RESIZING": _RUNNING,
    "UPDATE_DB": _RUNNING,
    "EXPEDITING": _RUNNING,
    "SUSPENDED": Meaning(state=State.SUSPENDED),
    "STOPPED": Meaning(state=State.SUSPENDED),
    "COMPLETED": Meaning(state=State.DONE),
    "FAILED": Meaning(state=State.FAILED),
    "CANCELLED": Meaning(
        state=State.CANCELLED, message="somebody cancelled it on the cluster", overrides=True
    ),
    "TIMEOUT": Meaning(
        state=State.EXCEEDED, message="Slurm stopped it: its time was over", overrides=True
    ),
    "DEADLINE": Meaning(
        state=State.EXCEEDED, message="Slurm stopped it: its deadline was over", overrides=True
    ),
    "OUT_OF_MEMORY": Meaning(
        state=State.EXCEEDED,
        message="Slurm stopped it: it used more memory than it may",
        overrides=True,
    ),
    "PREEMPTED": Meaning(
        state=State.FAILED,
        message="Slurm stopped it in favour of a job that goes first",
        transient=True,
        overrides=True,
    ),
    "NODE_FAIL": Meaning(
        state=State.FAILED, message="its node failed", transient=True, overrides=True
    ),
    "BOOT_FAIL": Meaning(
        state=State.FAILED, message="its node could not be started", transient=True
    ),
    "LAUNCH_FAILED": _BROKEN,
    "RECONFIG_FAIL": _BROKEN,
    "GETENV_FAILED": _BROKEN,
    # In a federation another cluster has it, and this one cannot say more.
    "REVOKED": Meaning(state=State.UNKNOWN, message="another cluster of the federation has it"),
}
"""What each state means; one that is not here is UNKNOWN."""


def meaning(word: str) -> Meaning:
    """Return what a state means. sacct prints ``CANCELLED by 1000``."""
    first = word.split(" ", maxsplit=1)[0].rstrip("+")
    return STATES.get(first) or Meaning(
        state=State.UNKNOWN, message=f"Slurm calls its state {word!r}, which is new here"
    )


HOLDS: Mapping[str, str] = {
    "JobHeldUser": "it is held on the cluster",
    "JobHeldAdmin": "an administrator of the cluster holds it",
    "JobHoldMaxRequeue": "it was put back too often, and is held",
    "launch_failed_requeued_held": "its node could not start it, and it is held",
    "job_requeued_in_held_state": "it was put back, and is held",
    "ReservationDeleted": "its reservation is gone, and it is held",
}
"""Reasons of jobs that do not start by themselves."""


def holds(reason: str) -> str | None:
    """Say who holds a job that does not start by itself; None of another one."""
    words = HOLDS.get(reason)
    if words is None and "held" not in reason.lower():
        return None
    return f"{words or 'it is held on the cluster'} ({reason})"


OUR_HOLD = "JobHeldUser"
"""The reason of a job between ``sbatch --hold`` and its release."""

WAITS: Mapping[str, str] = {
    "None": "it waits to be looked at",
    "Priority": "it waits for jobs that go first",
    "Resources": "it waits for free nodes",
    "Nodes_required_for_job_are_DOWN": "it waits for nodes that are down or set apart",
    "ReqNodeNotAvail": "it waits for nodes that are not available",
    "NodeDown": "it waits for nodes that are down",
    "PartitionDown": "its partition is closed",
    "PartitionInactive": "its partition is closed",
    "Reservation": "it waits for its reservation",
    "Licenses": "it waits for licenses",
    "BeginTime": "it waits for the time that it may begin at",
    "Dependency": "it waits for another job",
    "Cleaning": "it waits for its former try to be cleaned up",
    "Prolog": "its node is being made ready",
    "BadConstraints": "no node has what it needs",
    "PartitionConfig": "its partition cannot run it",
    "PartitionNodeLimit": "it asks for more nodes than its partition gives",
    "PartitionTimeLimit": "it asks for more time than its partition gives",
    "DependencyNeverSatisfied": "a job that it depends on has failed",
    "InvalidAccount": "its account is not valid",
    "InvalidQOS": "its quality of service is not valid",
    "AccountNotAllowed": "its account may not use the partition",
    "QOSNotAllowed": "its quality of service may not use the partition",
    "DeadLine": "it can not end before its deadline",
}
"""What reasons mean, for people; those of limits are told by `_LIMIT`."""

_LIMIT = re.compile(r"(QOS|Assoc|MaxCpu|MaxMem|MaxNode).*(Limit|Per\w+)")
_HOPELESS = re.compile(
    r"""
      BadConstraints | PartitionConfig | PartitionNodeLimit | PartitionTimeLimit | DeadLine
    | DependencyNeverSatisfied | Invalid(Account|QOS) | (Account|QOS)NotAllowed
    | (QOS|Assoc)Max\w*Per(Job|Node)(Limit)? | MaxMemPerLimit | QOSMin\w+
    """,
    re.VERBOSE,
)
"""Reasons that do not go away by waiting, unless an administrator changes something."""


def waits_for(reason: str) -> str:
    """Say why a job waits, for people, with Slurm's own word."""
    first = reason.split(",", maxsplit=1)[0]
    if first in WAITS:
        words = WAITS[first]
    elif _LIMIT.match(first):
        words = "it waits: a limit of the cluster is reached"
    else:
        words = "it waits"
    return words if first == "None" else f"{words} ({first})"


def is_hopeless(reason: str) -> bool:
    """Whether a job that waits for this can never start."""
    return _HOPELESS.fullmatch(reason.split(",", maxsplit=1)[0]) is not None
