"""What a job without a shared folder shows to the server, to be given its inputs and bring results.

A ticket is good for one job and while it runs. The server keeps only its hash, in ``run/`` in the
workspace, which no job sees that needs a ticket.
"""

import fcntl
import json
import secrets
from contextlib import suppress
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

HEADER = "X-Uwsd-Ticket"
"""The request header that carries it: one that no browser adds by itself."""

_FILE = "run/ticket.json"
_COUNT = "run/brought"


def issue(workspace: Path, most: int) -> str:
    """Make a job's ticket, which takes the place of an earlier one.

    With it, at most ``most`` bytes can be brought in all.
    """
    ticket = secrets.token_urlsafe(32)
    (workspace / "run").mkdir(mode=0o700, exist_ok=True)
    draft = workspace / f"{_FILE}.new"
    record = {"sha256": sha256(ticket.encode()).hexdigest(), "most": most}
    draft.write_text(json.dumps(record), encoding="ascii")
    draft.rename(workspace / _FILE)
    return ticket


def admits(workspace: Path, ticket: str) -> bool:
    """Whether this is the job's ticket."""
    try:
        record = json.loads((workspace / _FILE).read_text(encoding="ascii"))
    except OSError:
        return False
    shown = sha256(ticket.encode(errors="replace")).hexdigest()
    return compare_digest(str(record["sha256"]), shown)


def allow(workspace: Path, size: int) -> bool:
    """Whether the job may bring so many more bytes; if so, they are counted."""
    most = json.loads((workspace / _FILE).read_text(encoding="ascii"))["most"]
    with (workspace / _COUNT).open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        count = int(file.read() or "0") + size
        if count > most:
            return False
        file.truncate(0)
        file.write(f"{count}")
    return True


def revoke(workspace: Path) -> None:
    """Make the job's ticket worthless. Twice is harmless."""
    for name in (_FILE, _COUNT):
        (workspace / name).unlink(missing_ok=True)
    with suppress(OSError):
        (workspace / "run").rmdir()
