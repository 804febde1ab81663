"""In whose account a job runs, and how that account and the server's share its folder."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

from uwsd.backends.base import BackendError, Task, TaskRefused
from uwsd.backends.slurm.options import ACCOUNT, OF_THE_USER


def account_of(task: Task, run_as: str) -> str:
    """Return the account that a task's job runs in; empty: the server's own.

    Raises `TaskRefused` unless it is a plain name, and not root's.
    """
    account = task.user if run_as == OF_THE_USER else run_as
    if run_as == OF_THE_USER and not account:
        raise TaskRefused("jobs run in the account of whoever makes them: log in")
    if account and (not ACCOUNT.fullmatch(account) or account == "root"):
        raise TaskRefused(f"{account[:40]!r} is no account that jobs may run in")
    return account


def share(workspace: Path, account: str) -> None:
    """Let ``account`` run a job in the workspace, and the server see and remove what it leaves.

    The server keeps the folders: nobody else can put something in the place of one. Raises
    `TaskRefused` if there is no such account.
    """
    try:
        user = pwd.getpwnam(account).pw_uid
    except KeyError:
        raise TaskRefused(f"there is no account {account!r} here") from None
    both = f"u:{user}:rwX,u:{os.geteuid()}:rwX"
    entries = f"{both},m::rwX,d:{both.replace(',', ',d:')},d:m::rwX"
    command = ["setfacl", "-R", "-P", "-m", entries, "--", str(workspace)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        for folder in (workspace, workspace / "run"):
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_ISVTX)
    except subprocess.CalledProcessError as error:
        raise BackendError(f"the folder of a job cannot be shared: {error.stderr}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"the folder of a job cannot be shared: {error}") from error
