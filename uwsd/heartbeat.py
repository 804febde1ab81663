"""The supervisor's sign of life, and what each backend last said of itself.

It is a file in the data folder, written by the supervisor and read by whoever asks whether the
site is available: neither needs the database for it.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from uwsd.uws.times import parse, to_text

_FILE = "supervisor.json"


def silence(tick: float) -> timedelta:
    """Return for how long a supervisor with this tick may be silent, slow engines and all."""
    return timedelta(seconds=3 * tick + 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """That a supervisor works, since when, and when it last looked."""

    since: datetime
    at: datetime
    backends: Mapping[str, str | None] = field(default_factory=dict)
    """By name: why the backend cannot work now, or None."""


class HeartbeatFile:
    """Where the sign of life is left."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def beat(self, heartbeat: Heartbeat) -> None:
        """Leave a sign of life in place of the last."""
        said = {
            "since": to_text(heartbeat.since),
            "at": to_text(heartbeat.at),
            "backends": dict(heartbeat.backends),
        }
        draft = self._path.with_name(f".{_FILE}-{secrets.token_hex(4)}")
        try:
            draft.write_text(json.dumps(said), "utf-8")
            draft.replace(self._path)
        finally:  # on a full disk
            draft.unlink(missing_ok=True)

    def read(self) -> Heartbeat | None:
        """Return the last sign of life, or None when there never was one."""
        try:
            said = json.loads(self._path.read_text("utf-8"))
            return Heartbeat(
                since=parse(str(said["since"])),
                at=parse(str(said["at"])),
                backends=dict(said["backends"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
