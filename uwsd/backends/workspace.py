"""The folder of a job, as it is before the job starts, and the tasks that can never start."""

import os
import re
from pathlib import Path, PurePosixPath

from uwsd.backends.base import Task, TaskRefused

FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What a job's id may look like: it names a folder."""

_FOLDERS = ("inputs", "outputs", "logs")


def check(task: Task) -> None:
    """Raise `TaskRefused` if the task could not be started on any machine."""
    if not FOLDER_NAME.fullmatch(task.job_id):
        raise TaskRefused(f"{task.job_id!r} cannot be the name of a folder")
    if not task.command or not task.command[0]:
        raise TaskRefused("there is no command")
    for text in (*task.command, *task.environment, *task.environment.values()):
        if "\0" in text or not _is_encodable(text):
            raise TaskRefused(f"{text[:80]!r} cannot be handed to a program")
    if any("=" in name or not name for name in task.environment):
        raise TaskRefused("the name of an environment variable is empty or holds '='")
    for path in (*task.files, *(item.path for item in task.fetch)):
        parts = PurePosixPath(path).parts
        # run/ is where backends keep their own files.
        if not parts or parts[0] in {"/", "//", "run"} or ".." in parts or "\0" in path:
            raise TaskRefused(f"{path!r} is not a place in the workspace that a file may have")


def lay_out(task: Task, workspace: Path) -> None:
    """Make the folders of a workspace, for its owner alone, and put the task's files there."""
    for folder in (workspace, *(workspace / name for name in _FOLDERS)):
        folder.mkdir(mode=0o700, exist_ok=True)
    for path, content in task.files.items():
        target = workspace / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(content)


def hand_over(workspace: Path, user: int, group: int) -> None:
    """Make the workspace somebody else's, who is to run the job; only root can, and need.

    No link is followed. Raises `OSError`.
    """
    if os.geteuid() != 0 or (user, group) == (0, 0):
        return
    os.chown(workspace, user, group, follow_symlinks=False)
    for _, folders, files, descriptor in os.fwalk(workspace, follow_symlinks=False):
        for name in (*folders, *files):
            os.chown(name, user, group, dir_fd=descriptor, follow_symlinks=False)


def _is_encodable(text: str) -> bool:
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
