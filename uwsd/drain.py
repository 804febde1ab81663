"""Draining a site: no new jobs, while those that are there go on.

It is a file in the data folder, which all processes of a site share: it is there while the
database is down, and costs a look at the folder.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from uwsd.uws.errors import Unavailable
from uwsd.uws.times import now, parse, to_text

_FILE = "drain.json"
_UNKNOWN = 300
"""Seconds to come back after when nobody has said until when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Since when no new job is taken, until when as far as is known, and why."""

    since: datetime
    until: datetime | None = None
    note: str = ""


class DrainFile:
    """The file that says whether a site is being drained."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def read(self) -> Drain | None:
        """Return what is said, or None while jobs are taken.

        A file that cannot be understood drains, too: somebody meant it to.
        """
        try:
            since = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except FileNotFoundError:
            return None
        try:
            said = json.loads(self._path.read_bytes())
            until = said["until"]
            return Drain(
                since=parse(str(said["since"])),
                until=None if until is None else parse(str(until)),
                note=str(said["note"]),
            )
        except FileNotFoundError:  # at this very moment
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return Drain(since=since)

    def admit(self) -> None:
        """Raise `Unavailable` while no new job is taken."""
        drain = self.read()
        if drain is None:
            return
        wait = _UNKNOWN if drain.until is None else (drain.until - now()).total_seconds()
        why = f": {drain.note}" if drain.note else ""
        raise Unavailable(
            f"no new jobs are taken at the moment{why}; those that are there go on",
            retry_after=max(1, round(wait)),
        )

    def write(self, drain: Drain) -> None:
        """Begin to drain, or say something else of it; whole or not at all."""
        said = {
            "since": to_text(drain.since),
            "until": None if drain.until is None else to_text(drain.until),
            "note": drain.note,
        }
        draft = self._path.with_name(f".{_FILE}-{secrets.token_hex(4)}")
        try:
            draft.write_text(json.dumps(said), "utf-8")
            draft.replace(self._path)
        finally:  # on a full disk
            draft.unlink(missing_ok=True)

    def remove(self) -> bool:
        """Take jobs again; return whether the site was being drained."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        return True
