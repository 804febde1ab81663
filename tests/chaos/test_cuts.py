"""A supervisor that is killed between any two of its steps, and another that comes after it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.serving import wait_until
from uwsd.backends.local import LocalBackend
from uwsd.capabilities.command import Command
from uwsd.capabilities.settings import ServiceSettings
from uwsd.database import Database
from uwsd.migrations import migrate
from uwsd.supervisor import Supervisor
from uwsd.uws import times
from uwsd.uws.errors import NotFound, WrongPhase
from uwsd.uws.feed import SqliteFeed
from uwsd.uws.job import Job
from uwsd.uws.phase import Event, Phase
from uwsd.uws.rows import Want
from uwsd.uws.store import JobStore
from uwsd.uws.workspace import Workspaces

STEPS = frozenset(
    (
        *("change", "note", "settle", "drop", "forget"),  # of the store
        *("submit", "cancel", "release", "prepare", "remove"),  # of backend and workspaces
    )
)
SCRIPT = "echo run >>../../runs; while ! [ -e ../../go ]; do sleep 0.01; done; echo 42 >answer"


class Cut(BaseException):
    """The process is killed here."""


class Fused:
    """Something of which a process does a few steps, and then is killed."""

    def __init__(self, inner: object, fuse: Iterator[int]) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in STEPS:
            return found

        def step(*arguments: object, **more: object) -> object:
            answer = found(*arguments, **more)
            if not next(self._fuse, 0):
                raise Cut
            return answer

        return step


@dataclass(frozen=True)
class Stage:
    """One job and what it needs, in a folder."""

    folder: Path
    store: JobStore
    requires: tuple[str, ...]

    def supervisor(self, fuse: Iterator[int] | None = None) -> Supervisor:
        """Make a supervisor, as a new process does; one with a fuse is killed at its end."""
        settings = ServiceSettings(
            command=("sh", "-c", SCRIPT), backend="local", requires=self.requires
        )
        parts: dict[str, Any] = {
            "store": self.store,
            "workspaces": Workspaces(self.folder / "jobs"),
            "backend": LocalBackend(self.folder / "jobs", slots=1, grace=0),
        }
        if fuse is not None:
            parts = {name: Fused(part, fuse) for name, part in parts.items()}
        backend = parts.pop("backend")
        return Supervisor(
            **parts,
            capabilities={"once": Command("once", settings, self.folder)},
            backends={"local": backend},
        )

    @property
    def phase(self) -> Phase | None:
        """The job's phase; None if it is gone."""
        try:
            return self.store.load("j").phase
        except NotFound:
            return None

    def go(self) -> None:
        """Let the command end."""
        (self.folder / "jobs" / "go").touch()

    def starts(self) -> str:
        """What the command has told of its starts."""
        journal = self.folder / "jobs" / "runs"
        return journal.read_text() if journal.exists() else ""

    def want(self, what: Callable[["Stage"], None]) -> None:
        """Do what a client would, unless it is done already."""
        with suppress(NotFound, WrongPhase):
            what(self)


@contextmanager
def stage(folder: Path, empty: Path, requires: tuple[str, ...]) -> Iterator[Stage]:
    (folder / "jobs").mkdir(parents=True)
    shutil.copy(empty, folder / "jobs.db")
    database = Database.in_file(folder / "jobs.db")
    feed = SqliteFeed(database, folder / "run")
    with closing(database), closing(feed):
        store = JobStore(database, feed)
        job = Job(id="j", service="once", created=times.now(), phase=Phase.QUEUED)
        store.add(job, want=Want.RUN)
        yield Stage(folder, store, requires)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    database = Database.in_file(tmp_path / "empty.db")
    migrate(database)
    database.close()
    return tmp_path / "empty.db"


def abort(stage: Stage) -> None:
    stage.store.change(None, "j", lambda job: job.on(Event.ABORT, at=times.now()), want=Want.STOP)


def delete(stage: Stage) -> None:
    stage.store.forget(None, "j", lambda _: None)


@dataclass(frozen=True)
class Flow:
    """What a client does once the job runs, and what has to come of it."""

    name: str
    wish: Callable[[Stage], None]
    end: Phase | None
    requires: tuple[str, ...] = ()


FLOWS = (
    Flow("completed", Stage.go, Phase.COMPLETED),
    Flow("aborted", abort, Phase.ABORTED),
    Flow("deleted", delete, None),
    Flow("refused", lambda _: None, Phase.ERROR, requires=("what is not there",)),
)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_supervisor_may_be_killed_between_any_two_steps(
    flow: Flow, tmp_path: Path, empty: Path
) -> None:
    steps = 0
    was_cut = True
    while was_cut:
        steps += 1
        with stage(tmp_path / f"{steps}", empty, flow.requires) as there:
            was_cut = _cut_after(steps, there, flow)
            _see_through(there, flow)
    assert steps > 2


def _cut_after(steps: int, there: Stage, flow: Flow) -> bool:
    """Tick until the job runs, do as the client wishes, go on; say whether that was cut short."""
    supervisor = there.supervisor(iter([1] * (steps - 1)))
    with suppress(Cut):
        while not there.starts() and not _is_settled(there, flow):
            supervisor.tick()
        there.want(flow.wish)
        while not _is_settled(there, flow):
            supervisor.tick()
        return False
    return True


def _is_settled(there: Stage, flow: Flow) -> bool:
    return there.phase is flow.end and not there.store.unsettled()


def _see_through(there: Stage, flow: Flow) -> None:
    supervisor = there.supervisor()
    there.want(flow.wish)

    def settled() -> bool:
        supervisor.tick()
        return _is_settled(there, flow)

    wait_until(settled, 20)
    assert there.starts() in {Phase.COMPLETED: {"run\n"}, Phase.ERROR: {""}}.get(
        flow.end or Phase.ABORTED, {"run\n", ""}
    )
    if flow.end is None:
        assert not (there.folder / "jobs" / "j").exists()
    else:
        answer = there.folder / "jobs" / "j" / "outputs" / "answer"
        assert answer.exists() is (flow.end is Phase.COMPLETED)
