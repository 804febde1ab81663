"""What may go wrong between clients, database, supervisor and engine: docs/reliability.md."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.test_supervisor import AT, LATER, Scripted, Stage, a_job
from uwsd.backends.base import Handle, Report, State, Task, Unreachable
from uwsd.backends.local import LocalBackend
from uwsd.capabilities.command import Command
from uwsd.capabilities.settings import ServiceSettings
from uwsd.processes import PARENT
from uwsd.reports import told
from uwsd.supervisor import Supervisor
from uwsd.uws import times
from uwsd.uws.phase import Event, Phase
from uwsd.uws.rows import Want


class Engine(Scripted):
    """One that does what a test has it do before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}
        self.reports: dict[str, Report] = {}

    def submit(self, task: Task) -> Handle:
        self._prepare("submit")
        handle = super().submit(task)
        self.after.get("submit", lambda: None)()
        return handle

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        self._prepare("poll")
        return {h: self.reports.get(h, report) for h, report in super().poll(handles).items()}

    def cancel(self, handle: Handle) -> None:
        self._prepare("cancel")
        super().cancel(handle)

    def find(self, job_id: str) -> Handle | None:
        return Handle(job_id) if f"submit {job_id}" in self.asked else None

    def _prepare(self, what: str) -> None:
        if what in self.before:
            self.before[what]()


class FaultStage(Stage):
    """A stage on which things go wrong."""

    engine: Engine

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.folder = tmp_path
        self.engine = Engine()
        self.supervisor = self.successor()

    def successor(self, services: Mapping[str, Command] | None = None) -> Supervisor:
        """Return a supervisor that knows nothing of what was before."""
        settings = ServiceSettings(command=("true",), backend="scripted")
        demo = {"demo": Command("demo", settings, self.folder)}
        return Supervisor(
            store=self.store,
            workspaces=self.supervisor._workspaces,
            capabilities=demo if services is None else services,
            backends={"scripted": self.engine},
        )

    def another(self, job_id: str) -> None:
        self.store.add(replace(a_job(Phase.QUEUED), id=job_id, created=LATER), want=Want.RUN)

    def phase(self, job_id: str = "j") -> Phase:
        return self.store.load(job_id).phase

    def abort(self, job_id: str = "j") -> None:
        self.store.change(
            None, job_id, lambda job: job.on(Event.ABORT, at=times.now()), want=Want.STOP
        )

    def delete(self, job_id: str = "j") -> None:
        self.store.forget(None, job_id, lambda _: None)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[FaultStage]:
    stage = FaultStage(tmp_path)
    yield stage
    stage.close()


def silent() -> None:
    raise Unreachable("nobody answers")


# Handing over


def test_a_job_waits_while_its_engine_does_not_answer(stage: FaultStage) -> None:
    stage.engine.before["submit"] = silent
    for _ in range(3):
        stage.supervisor.tick()
    assert stage.phase() is Phase.QUEUED
    del stage.engine.before["submit"]
    assert stage.see(State.RUNNING).phase is Phase.EXECUTING


def test_a_lost_answer_is_asked_for_again_under_the_same_name(stage: FaultStage) -> None:
    stage.engine.after["submit"] = silent
    stage.supervisor.tick()
    assert (stage.phase(), stage.store.unsettled()[0].handle) == (Phase.QUEUED, None)
    del stage.engine.after["submit"]
    assert stage.see(State.DONE).phase is Phase.COMPLETED
    assert stage.engine.asked == ["submit j", "submit j"]


def test_a_job_that_is_aborted_while_others_are_handed_over_is_not(stage: FaultStage) -> None:
    stage.another("k")
    stage.engine.before["submit"] = lambda: stage.abort("k")
    stage.supervisor.tick()
    del stage.engine.before["submit"]
    stage.supervisor.tick()
    assert stage.engine.asked == ["submit j"]
    assert (stage.phase("j"), stage.phase("k")) == (Phase.QUEUED, Phase.ABORTED)
    assert [e.job_id for e in stage.store.unsettled()] == ["j"]


def test_a_job_that_is_aborted_during_its_submission_is_stopped(stage: FaultStage) -> None:
    stage.engine.before["submit"] = stage.abort
    stage.supervisor.tick()
    stage.successor().tick()
    assert stage.engine.asked == ["submit j", "cancel j"]
    stage.see(State.CANCELLED)
    assert stage.store.unsettled() == []


def test_a_job_that_is_deleted_during_its_submission_leaves_nothing(stage: FaultStage) -> None:
    stage.engine.before["submit"] = stage.delete
    stage.supervisor.tick()
    stage.successor().tick()
    assert stage.engine.asked == ["submit j", "release j"]
    assert stage.store.unsettled() == []
    assert not (stage.folder / "jobs" / "j").exists()


def test_a_job_whose_files_cannot_be_removed_yet_is_not_forgotten(
    stage: FaultStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.supervisor.tick()
    stage.delete()
    with monkeypatch.context() as full:
        full.setattr(shutil, "rmtree", lambda *_, **__: None)
        stage.supervisor.tick()
        assert [e.job_id for e in stage.store.unsettled()] == ["j"]
    stage.supervisor.tick()
    assert stage.store.unsettled() == []


def test_two_supervisors_at_once_start_every_job_once(stage: FaultStage) -> None:
    jobs = stage.folder / "jobs"
    settings = ServiceSettings(command=("sh", "-c", "echo run >>../../{job_id}.runs"))
    once = {"demo": Command("demo", settings, stage.folder)}

    def supervisor() -> Supervisor:
        return Supervisor(
            store=stage.store,
            workspaces=stage.supervisor._workspaces,
            capabilities=once,
            backends={"local": LocalBackend(jobs, slots=4)},
        )

    for number in range(20):
        stage.another(f"job{number}")

    def work() -> None:
        mine = supervisor()
        while stage.store.unsettled():
            mine.tick()

    both = [threading.Thread(target=work) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    runs = {path.name: path.read_text() for path in jobs.glob("*.runs")}
    assert len(runs) == 21
    assert set(runs.values()) == {"run\n"}


# While a job runs


def test_one_engine_s_silence_changes_no_phase_and_ends_by_itself(stage: FaultStage) -> None:
    assert stage.see(State.RUNNING).phase is Phase.EXECUTING
    stage.engine.before["poll"] = silent
    for _ in range(3):
        stage.supervisor.tick()
    assert stage.phase() is Phase.EXECUTING
    del stage.engine.before["poll"]
    assert stage.see(State.DONE).phase is Phase.COMPLETED


def test_a_report_that_nobody_understands_keeps_no_other_job(stage: FaultStage) -> None:
    stage.another("k")
    strange = AT.replace(tzinfo=None)  # cannot be compared with any time of ours
    stage.engine.reports["j"] = Report(state=State.RUNNING, started=strange)
    stage.engine.reports["k"] = Report(state=State.DONE)
    stage.supervisor.tick()
    assert (stage.phase("j"), stage.phase("k")) == (Phase.QUEUED, Phase.COMPLETED)
    stage.engine.reports.clear()
    assert stage.see(State.DONE).phase is Phase.COMPLETED


def test_a_job_of_a_service_that_is_not_offered_any_more_goes_on(stage: FaultStage) -> None:
    stage.see(State.RUNNING)
    stage.supervisor = stage.successor(services={})
    job = stage.see(State.DONE)
    assert (job.phase, [r.id for r in job.results]) == (Phase.COMPLETED, ["stdout", "stderr"])


def test_what_was_requeued_has_its_time_anew() -> None:
    again = LATER + timedelta(hours=1)
    job = replace(a_job(Phase.QUEUED), duration=60)
    job = told(job, Report(state=State.RUNNING, started=AT), at=LATER)
    job = told(job, Report(state=State.WAITING), at=LATER)
    assert (job.phase, job.started, job.deadline) == (Phase.QUEUED, None, None)
    job = told(job, Report(state=State.RUNNING, started=again), at=again)
    assert (job.started, job.deadline) == (again, again + timedelta(seconds=60))


# Stopping


def test_what_the_engine_did_not_hear_is_said_again(stage: FaultStage) -> None:
    stage.see(State.RUNNING)
    stage.engine.before["cancel"] = silent
    stage.abort()
    stage.supervisor.tick()
    del stage.engine.before["cancel"]
    stage.successor().tick()
    assert stage.engine.asked == ["submit j", "cancel j"]
    assert stage.see(State.CANCELLED).phase is Phase.ABORTED
    assert stage.store.unsettled() == []


def test_a_job_that_ended_while_it_was_aborted_is_aborted_and_keeps_what_it_made(
    stage: FaultStage,
) -> None:
    stage.supervisor.tick()
    assert stage.phase() is Phase.QUEUED
    stage.abort()
    job = stage.see(State.DONE, started=AT, ended=LATER)
    assert (job.phase, job.error) == (Phase.ABORTED, None)
    assert [result.id for result in job.results] == ["stdout", "stderr"]
    assert job.started == AT


# Processes


@pytest.mark.parametrize(
    "command",
    [
        ("uwsd", "supervise", "--with-parent"),
        ("gunicorn", "-c", "python:uwsd.webserver", "uwsd.wsgi:app"),
    ],
    ids=["supervisor", "web server"],
)
def test_what_uwsd_serve_started_just_before_it_was_killed_ends(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    started_it = subprocess.Popen("true")
    started_it.wait()
    told = {"UWSD_DATA": str(tmp_path / "data"), "UWSD_PORT": "0"}
    environment = {**os.environ, **told, PARENT: str(started_it.pid)}
    orphan = subprocess.run(
        (sys.executable, "-m", *command),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert orphan.returncode != 0
    assert "the process that started this one is gone" in orphan.stderr
