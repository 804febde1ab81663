"""Where a container is in its life, in Docker's words and in Podman's."""

from collections.abc import Mapping
from enum import Enum, auto


class Stage(Enum):
    """Where a container is in its life."""

    MADE = auto()
    RUNNING = auto()
    PAUSED = auto()
    ENDED = auto()


STAGES: Mapping[str, Stage] = {
    "created": Stage.MADE,
    "configured": Stage.MADE,
    "initialized": Stage.MADE,
    "running": Stage.RUNNING,
    "restarting": Stage.RUNNING,
    "stopping": Stage.RUNNING,
    "paused": Stage.PAUSED,
    "exited": Stage.ENDED,
    "stopped": Stage.ENDED,
    "dead": Stage.ENDED,
}
"""What is not in here, nobody has met yet."""
