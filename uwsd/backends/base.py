"""The seam between uwsd and the engines: what a backend is given, answers and promises.

A backend imports nothing of uwsd but this module. `tests/backends/contract.py` holds the
promises below as tests; every backend passes them against its real engine.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import NewType

Handle = NewType("Handle", str)
"""A backend's own name for a job. uwsd stores it and never looks inside."""

PROGRESS = "progress"
"""Where a job may write how far it is, relative to its workspace; see `uwsd.backends.progress`."""


class State(Enum):
    """Where a job is, as a backend sees it."""

    WAITING = auto()  #: handed over, not started
    HELD = auto()  #: will not start by itself
    RUNNING = auto()
    SUSPENDED = auto()  #: stopped, will go on by itself
    UNKNOWN = auto()  #: it is there, but nobody can say how it is
    DONE = auto()  #: ended with exit status 0
    FAILED = auto()  #: ended otherwise, or could not be started
    EXCEEDED = auto()  #: stopped because it used more time or memory than it may
    CANCELLED = auto()  #: stopped because `Backend.cancel` was asked
    LOST = auto()  #: the backend is sure that it has no such job, or that nobody saw it end

    @property
    def is_over(self) -> bool:
        """Whether the backend will never say anything else about the job."""
        return self in _OVER


_OVER = frozenset({State.DONE, State.FAILED, State.EXCEEDED, State.CANCELLED, State.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """An input given by reference: the worker fetches it before the command starts."""

    url: str
    path: str  #: where it goes, relative to the job's workspace, such as ``inputs/FILE``
    max_bytes: int
    timeout: float  #: seconds, for the whole transfer
    schemes: tuple[str, ...] = ("https", "http")
    private_addresses: bool = False  #: whether loopback, private and link-local hosts may be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to run: everything a backend needs, and nothing about UWS.

    The workspace of a job has three folders: ``inputs/``, ``outputs/`` (where the command
    starts) and ``logs/`` (its ``stdout`` and ``stderr``). The command and the environment
    are complete: no shell sees them, nothing is expanded, and nothing of the server's own
    environment is added.
    """

    job_id: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Small files to be there before the command starts, by path relative to the workspace."""
    fetch: tuple[Fetch, ...] = ()
    duration: int = 0  #: wall-clock seconds it may run; 0: no limit
    memory: int = 0  #: bytes it may use; 0: no limit
    cpus: float = 0  #: processors it may use; 0: what the engine gives by itself
    gpus: int = 0
    network: bool = False  #: whether it may reach others, where the engine can keep it from that
    image: str = ""  #: for engines that run containers; empty: the backend's own choice
    service: str = ""  #: whose job it is, for people who look at the engine
    user: str = ""  #: who asked for it, by the name of the account; empty: nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is, by its own account."""

    fraction: float  #: from 0 to 1
    activity: str = ""  #: what it does now, for people: one line of printable text


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a backend knows of one job at one moment."""

    state: State
    message: str = ""  #: for people: why it failed, what it waits for
    exit_code: int | None = None  #: of the command; None when it did not exit by itself
    started: datetime | None = None  #: UTC, as the engine saw it
    ended: datetime | None = None
    transient: bool = False  #: whether the same task might succeed if tried again
    progress: Progress | None = None  #: None: nothing that is new
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the engine calls a job that has started, and where it is; by lower-case words."""


class BackendError(Exception):
    """The backend could not be asked, or would not answer: try again later."""


class Unreachable(BackendError):
    """Nobody answers for the engine: there is no use in asking about other jobs, either."""


class TaskRefused(BackendError):
    """The backend will never accept this task: the job has failed."""


class Backend(ABC):
    """A place where jobs run.

    A backend keeps nothing in memory that it cannot find again from a handle: after a
    restart, a new instance answers for the jobs of the old one. Any method may raise
    `BackendError`; the supervisor then tries again.
    """

    @abstractmethod
    def submit(self, task: Task) -> Handle:
        """Hand the task over, and return at once.

        Submitting the same ``job_id`` again starts nothing new and returns the same handle,
        also after a crash or a lost answer, and also from two processes at one time. Raises
        `TaskRefused` if trying again would not help; then, as with any `BackendError`,
        nothing was started.
        """

    @abstractmethod
    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Report on every handle asked about, with one question to the engine.

        ``LOST`` is a last word. A job that the engine is only slow to list is ``WAITING``.
        """

    @abstractmethod
    def cancel(self, handle: Handle) -> None:
        """Ask for the job to stop, with its whole process tree, and return at once.

        A job that has ended is left as it is. A cancelled job may still end as ``DONE``.
        """

    @abstractmethod
    def release(self, handle: Handle) -> None:
        """Forget the job and free what it holds on the engine.

        A job that still runs is stopped first. The workspace is not the backend's to
        remove. Releasing twice, or a job that never was, is harmless.
        """

    @abstractmethod
    def find(self, job_id: str) -> Handle | None:
        """Return the handle of a job whose submission may have been cut short, if there is one."""

    def amend(self, handle: Handle, duration: int) -> None:  # noqa: B027 - doing nothing is fine
        """Let a job run for ``duration`` seconds in all (0: no limit), if the engine can change it.

        By default nothing: the supervisor ends a job that runs for too long in any case.
        """

    def progress(self, handle: Handle) -> Progress | None:  # noqa: ARG002 - a default
        """Return how far a running job says it is, if to ask so each second costs little.

        By default nothing: `poll` tells it, too.
        """
        return None

    def wakeups(self) -> Collection[int]:
        """Return file descriptors that become readable when `poll` has news; none by default."""
        return ()

    def check(self) -> str | None:
        """Say why the backend cannot work now, or None."""
        return None
