"""The files of a job: one folder a job, with ``inputs/``, ``outputs/`` and ``logs/``.

Jobs run foreign code, and what they leave is foreign: no link is followed, nothing but a
regular file is opened, and a name that a client sent is never a path.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from uwsd.uws.errors import NotFound

FOLDERS = ("inputs", "outputs", "logs")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = _READ | os.O_DIRECTORY


class Workspaces:
    """The folders of all jobs, below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, job_id: str) -> Path:
        """Return the folder of a job, which may not be there yet."""
        return self.root / job_id

    def prepare(self, job_id: str) -> Path:
        """Make the folders of a job, if they are not there; return the job's folder."""
        for folder in FOLDERS:
            (self.path(job_id) / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.path(job_id)

    def was_prepared(self, job_id: str) -> bool:
        """Whether the job has once been about to be handed over."""
        return (self.path(job_id) / "outputs").is_dir()

    def keep(self, job_id: str, name: str, content: BinaryIO) -> str:
        """Keep what a client sent for the parameter ``name``; return its path in the workspace."""
        path = f"inputs/{name}-{secrets.token_hex(4)}"
        (self.path(job_id) / "inputs").mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path(job_id) / path).open("xb") as file:
            shutil.copyfileobj(content, file)
        return path

    def discard(self, job_id: str, path: str) -> None:
        """Remove one kept input; the folders that it needed, too, when nothing else is in them.

        Not ``outputs/``: the job may have been started meanwhile.
        """
        (self.path(job_id) / path).unlink(missing_ok=True)
        for folder in ("inputs", "."):
            with suppress(OSError):
                (self.path(job_id) / folder).rmdir()

    def open(self, job_id: str, path: str) -> BinaryIO:
        """Open a regular file of the job for reading; follow no link on the way to it."""
        try:
            return _open_beneath(self.path(job_id), PurePosixPath(path))
        except OSError:
            raise NotFound(f"{path} of job {job_id} is not there any more") from None

    def outputs(self, job_id: str) -> Mapping[str, int]:
        """Return the size of each regular file in ``outputs/``, by its path relative to it."""
        return dict(_files(self.path(job_id) / "outputs", PurePosixPath()))

    def size(self, job_id: str, path: str) -> int | None:
        """Return the size of one regular file, or None when there is none."""
        try:
            with self.open(job_id, path) as file:
                return os.fstat(file.fileno()).st_size
        except NotFound:
            return None

    def tail(self, job_id: str, path: str, most: int) -> str:
        """Return the last ``most`` bytes of a file as text, or nothing when there is none."""
        try:
            with self.open(job_id, path) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - most))
                return file.read(most).decode(errors="replace")
        except NotFound:
            return ""

    def remove(self, job_id: str) -> bool:
        """Remove all files of a job; return whether they are gone. Removing twice is harmless."""
        shutil.rmtree(self.path(job_id), ignore_errors=True)
        return not self.path(job_id).exists()

    def strays(self, *, older_than: float) -> Iterator[str]:
        """Yield the ids of the folders that nobody has touched since ``older_than`` (Unix time)."""
        with suppress(FileNotFoundError), os.scandir(self.root) as entries:
            for entry in entries:
                is_job = not entry.name.startswith(".")  # what does is a backend's
                if is_job and entry.stat(follow_symlinks=False).st_mtime < older_than:
                    yield entry.name


def _open_beneath(folder: Path, path: PurePosixPath) -> BinaryIO:
    if path.is_absolute() or ".." in path.parts:
        raise PermissionError(f"{path} leads out of the folder")
    at = os.open(folder, _FOLDER)
    try:
        for part in path.parts[:-1]:
            beneath = os.open(part, _FOLDER, dir_fd=at)
            os.close(at)
            at = beneath
        descriptor = os.open(path.name, _READ, dir_fd=at)
    finally:
        os.close(at)
    if not _is_own_regular_file(os.fstat(descriptor)):
        os.close(descriptor)
        raise PermissionError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def _is_own_regular_file(status: os.stat_result) -> bool:
    # A second link may be the name of somebody else's file.
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def _files(folder: Path, below: PurePosixPath) -> Iterator[tuple[str, int]]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield from _files(Path(entry.path), below / entry.name)
            elif _is_own_regular_file(status):
                yield str(below / entry.name), status.st_size
