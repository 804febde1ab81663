"""What a job is called on an engine that other servers may use as well."""

import re
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_FITS = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def instance(root: Path) -> str:
    """Return the name of the server whose workspaces are in ``root``: eight digits, made once.

    It is kept beside the workspaces, so that whoever has them answers for their jobs.
    """
    file = root / ".instance"
    if not file.exists():
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = root / f".instance.{secrets.token_hex(4)}"
        draft.write_text(secrets.token_hex(4), encoding="ascii")
        with suppress(FileExistsError):  # another process was quicker
            file.hardlink_to(draft)
        draft.unlink()
    return file.read_text(encoding="ascii")


def key(root: Path, job_id: str) -> str:
    """Return the one name of a job on an engine: a DNS label, and good for a file, too."""
    name = job_id if _FITS.fullmatch(job_id) else sha256(job_id.encode()).hexdigest()[:40]
    return f"uwsd-{instance(root)}-{name}"
