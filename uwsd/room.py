"""Room on the disk: what is left of it is for the jobs that run, and what is written of them."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from uwsd.uws.errors import Unavailable

_LATER = 300
"""Seconds to come back after: somebody has to make room first."""
_NONE_LEFT = frozenset({errno.ENOSPC, errno.EDQUOT})


class NoRoom(Unavailable):
    """There is too little room for new jobs."""

    def __init__(self) -> None:
        super().__init__(
            "there is no room for new jobs on the server's disk; those that are there go on, and "
            "deleting jobs makes room",
            retry_after=_LATER,
        )


class Room:
    """What has to be free where the jobs' files and the database are."""

    def __init__(self, folders: Iterable[Path], reserve: int) -> None:
        self._folders = tuple(folders)
        self._reserve = reserve

    def require(self) -> None:
        """Raise `NoRoom` while there is less free than the reserve."""
        for folder in self._folders:
            try:
                space = os.statvfs(folder)
            except FileNotFoundError:  # before the first job
                continue
            if space.f_bavail * space.f_frsize < self._reserve:
                raise NoRoom


def is_lack_of_room(error: Exception) -> bool:
    """Whether something could not be done because the disk, or what one may use of it, is full."""
    is_full = isinstance(error, OSError) and error.errno in _NONE_LEFT
    return is_full or "disk is full" in str(error)  # SQLite's words
