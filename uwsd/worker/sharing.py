"""What a job leaves, for an account that is not the job's own."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_FOLDERS = ("outputs", "logs", "run")


def open_up(workspace: Path) -> None:
    """Let those at what the job has left whom the workspace's access lists name.

    Every file has their names already, from the folder it was made in. A program that makes one
    for its owner alone has masked them; the group's permissions of a file are that mask.
    """
    for folder in _FOLDERS:
        for _, folders, files, descriptor in os.fwalk(workspace / folder, follow_symlinks=False):
            for name in folders:
                _unmask(name, descriptor, 0o070)
            for name in files:
                _unmask(name, descriptor, 0o060)


def _unmask(name: str, folder: int, bits: int) -> None:
    with suppress(OSError):  # it is somebody else's, or gone
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            os.chmod(name, stat.S_IMODE(mode) | bits, dir_fd=folder)
