"""A capability: what one service does with a job.

VOSI, the registry record, the HTML form and the checks of what a client sends are all made
from what a capability declares here; nothing of it is written twice.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uwsd.backends.base import Task
from uwsd.capabilities.parameters import InputParam
from uwsd.uws.job import Job, Result
from uwsd.uws.joblist import JobList


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRule:
    """A file, or a kind of file, that the command leaves in its working folder."""

    id: str
    path: str  #: relative; may be a glob, and then each match is a result of its own
    media_type: str
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Values that show what the service does (DALI 1.2 section 2.3)."""

    id: str  #: an XML name
    title: str
    description: str
    parameters: tuple[tuple[str, str], ...]  #: as a client would send them


class Capability(JobList):
    """A service: a job list, and how its jobs become tasks and results."""

    standard_id: str
    title: str
    description: str
    subjects: tuple[str, ...]  #: terms of the Unified Astronomy Thesaurus
    backend: str  #: the name of the backend in the configuration
    parameters: tuple[InputParam, ...]
    examples: tuple[Example, ...] = ()

    @abstractmethod
    def task(self, job: Job, workspace: Path) -> Task:
        """Return what to run for ``job``, whose workspace the job will see at ``workspace``."""

    def unready(self) -> str | None:
        """Say why the service cannot work now, or None."""
        return None

    def cause(self, stderr: str) -> str:  # noqa: ARG002 - a default
        """Say why a command has failed, if the end of its ``stderr`` tells; empty if not."""
        return ""

    @abstractmethod
    def results(self, outputs: Mapping[str, int]) -> Sequence[Result]:
        """Pick the results of a job that has ended.

        ``outputs`` gives the size in bytes of each regular file in the working folder, by its path
        relative to it. Raises `MissingResult` when one is not there that has to be. The main
        result comes first and has the id ``result``.
        """


class MissingResult(Exception):
    """The command did not leave a file that it is declared to leave."""

    def __init__(self, message: str, found: tuple[Result, ...]) -> None:
        super().__init__(message)
        self.found = found  #: the results that are there
