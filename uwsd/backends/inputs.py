"""Inputs given by URL, fetched on this machine before a job starts in a container.

A worker does it, as for jobs of this machine, so that an image needs nothing for it. Its files in
``run/`` are gone before the job sees the workspace.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from uwsd.backends.base import Handle, Report, Task
from uwsd.backends.local import LocalBackend

_AT_ONE_TIME = 8
_PATH = {"PATH": "/usr/bin:/bin"}


class Inputs:
    """The inputs of the jobs of the backend ``name``, whose workspaces are in ``root``."""

    def __init__(self, root: Path, name: str) -> None:
        # No backend has a blank in its name: the line of those that wait is the inputs' own.
        self._fetcher = LocalBackend(root, name=f"{name} inputs", slots=_AT_ONE_TIME, grace=0)

    def fetch(self, task: Task) -> None:
        """Begin to fetch what the task names, unless that has begun, and return at once."""
        only = Task(job_id=task.job_id, command=("true",), environment=_PATH, fetch=task.fetch)
        self._fetcher.submit(only)

    def poll(self, jobs: Collection[Handle]) -> Mapping[Handle, Report]:
        """Say of each job how far its inputs are: they are there when the state is DONE."""
        return self._fetcher.poll(jobs) if jobs else {}

    def forget(self, job: Handle) -> None:
        """Stop fetching, and remove what the worker has left in ``run/``; twice is harmless.

        To be called before the job starts: what is there later on may be the job's work.
        """
        self._fetcher.release(job)

    def wakeups(self) -> Collection[int]:
        """Return what becomes readable when `poll` has news."""
        return self._fetcher.wakeups()
