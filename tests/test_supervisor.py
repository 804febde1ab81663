"""What a backend's word does to a job, and that no crash of the supervisor loses or doubles one."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
import requests

from tests.serving import Server, descendants, finished
from uwsd.backends.base import Backend, Handle, Progress, Report, State, Task
from uwsd.capabilities.command import Command
from uwsd.capabilities.settings import ServiceSettings
from uwsd.database import DATABASE_FAULTS, Database
from uwsd.migrations import migrate
from uwsd.reports import told
from uwsd.room import Room
from uwsd.schemas import validate
from uwsd.supervisor import Supervisor
from uwsd.uws.documents import job_document
from uwsd.uws.feed import SqliteFeed
from uwsd.uws.job import ErrorType, Job
from uwsd.uws.phase import Event, Phase
from uwsd.uws.rows import Want
from uwsd.uws.store import JobStore
from uwsd.uws.waiting import Waiting
from uwsd.uws.workspace import Workspaces
from uwsd.watch import PACE, Watch

AT = datetime(2026, 11, 24, tzinfo=UTC)
LATER = AT + timedelta(seconds=9)
LIVE = (Phase.QUEUED, Phase.EXECUTING, Phase.HELD, Phase.SUSPENDED, Phase.UNKNOWN)
ENDS = {
    State.DONE: Phase.COMPLETED,
    State.FAILED: Phase.ERROR,
    State.EXCEEDED: Phase.ABORTED,
    State.CANCELLED: Phase.ABORTED,
    State.LOST: Phase.ERROR,
}


def a_job(phase: Phase) -> Job:
    return Job(id="j", service="demo", created=AT, phase=phase)


@pytest.mark.parametrize(("state", "phase"), list(itertools.product(ENDS, LIVE)))
def test_every_end_is_told_from_every_live_phase(state: State, phase: Phase) -> None:
    job = told(a_job(phase), Report(state=state, message="why"), at=LATER)
    assert job.phase is ENDS[state]
    assert job.ended == LATER
    assert (job.error is not None) is (state is not State.DONE)
    assert job.error is None or job.error.message == "why"


@pytest.mark.parametrize(
    ("state", "phase"), list(itertools.product(State, [p for p in Phase if p.is_over]))
)
def test_nothing_changes_a_job_that_is_over(state: State, phase: Phase) -> None:
    assert told(a_job(phase), Report(state=state), at=LATER) == a_job(phase)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.WAITING, Phase.QUEUED),
        (State.HELD, Phase.HELD),
        (State.RUNNING, Phase.EXECUTING),
        (State.SUSPENDED, Phase.SUSPENDED),
        (State.UNKNOWN, Phase.UNKNOWN),
    ],
)
def test_live_states_show_as_they_are_with_their_reason(state: State, expected: Phase) -> None:
    job = told(a_job(Phase.QUEUED), Report(state=state, message="because"), at=LATER)
    assert (job.phase, job.info) == (expected, {"message": "because"})
    assert told(job, Report(state=State.RUNNING), at=LATER).info == {}


@pytest.mark.parametrize("phase", [Phase.EXECUTING, Phase.SUSPENDED, Phase.UNKNOWN])
def test_a_job_that_its_engine_has_requeued_is_queued_again(phase: Phase) -> None:
    assert told(a_job(phase), Report(state=State.WAITING), at=LATER).phase is Phase.QUEUED


def test_an_engine_s_clock_is_kept_between_the_two_that_are_known() -> None:
    early, late = AT - timedelta(days=1), LATER + timedelta(days=1)
    job = told(a_job(Phase.QUEUED), Report(state=State.DONE, started=early, ended=late), at=LATER)
    assert (job.started, job.ended) == (AT, LATER)


def test_what_may_succeed_if_tried_again_is_called_transient() -> None:
    job = told(a_job(Phase.QUEUED), Report(state=State.LOST, transient=True), at=LATER)
    assert job.error is not None
    assert job.error.type is ErrorType.TRANSIENT


FACTS = {"host": "node7", "Not a name": "x", "ignored": "x", "empty": ""}


def test_where_a_job_runs_is_told_from_its_start_on() -> None:
    job = replace(a_job(Phase.QUEUED), info={"ignored": "LANG"})
    assert told(job, Report(state=State.WAITING, facts=FACTS), at=LATER).info == job.info
    job = told(job, Report(state=State.RUNNING, facts=FACTS), at=LATER)
    assert job.info == {"ignored": "LANG", "host": "node7"}
    assert told(job, Report(state=State.DONE), at=LATER).info == job.info


def test_what_passes_is_told_until_a_job_is_over() -> None:
    progress = Progress(fraction=2 / 3, activity="reading")
    job = told(
        a_job(Phase.QUEUED), Report(state=State.RUNNING, message="m", progress=progress), at=LATER
    )
    assert job.info == {"message": "m", "progress": "0.667", "activity": "reading"}
    silent = told(job, Report(state=State.RUNNING), at=LATER)
    assert silent.info == {"progress": "0.667", "activity": "reading"}, "until it says more"
    assert told(job, Report(state=State.FAILED, message="m"), at=LATER).info == {}
    assert job.on(Event.ABORT, at=LATER).info == {}


class Scripted(Backend):
    """An engine that reports what a test has it report, to show a supervisor every state."""

    def __init__(self) -> None:
        self.report = Report(state=State.WAITING)
        self.asked: list[str] = []

    def submit(self, task: Task) -> Handle:
        self.asked.append(f"submit {task.job_id}")
        return Handle(task.job_id)

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        return dict.fromkeys(handles, self.report)

    def cancel(self, handle: Handle) -> None:
        self.asked.append(f"cancel {handle}")

    def release(self, handle: Handle) -> None:
        self.asked.append(f"release {handle}")

    def find(self, job_id: str) -> Handle | None:
        return None


class Stage:
    """A supervisor with a scripted engine, and one job that is to run."""

    def __init__(self, tmp_path: Path) -> None:
        self.database = Database.in_file(tmp_path / "jobs.db")
        migrate(self.database)
        self.feed = SqliteFeed(self.database, tmp_path / "run")
        self.store = JobStore(self.database, self.feed)
        self.engine = Scripted()
        self.now = 100.0
        demo = Command("demo", ServiceSettings(command=("true",), backend="scripted"), tmp_path)
        self.supervisor = Supervisor(
            store=self.store,
            workspaces=Workspaces(tmp_path / "jobs"),
            capabilities={"demo": demo},
            backends={"scripted": self.engine},
            watch=Watch(lambda: self.now),
        )
        self.store.add(a_job(Phase.QUEUED), want=Want.RUN)

    def see(self, state: State, **more: object) -> Job:
        """Return the job after a look at an engine that reports this; its document is valid."""
        self.engine.report = Report(state=state, **more)  # type: ignore[arg-type]
        self.supervisor.tick()
        job = self.store.load("j")
        validate(job_document(job, "http://127.0.0.1:8080/demo/async/j"))
        return job

    def close(self) -> None:
        self.feed.close()
        self.database.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def test_states_that_only_some_engines_have_are_shown_and_left_again(stage: Stage) -> None:
    script = {
        State.WAITING: Phase.QUEUED,
        State.HELD: Phase.HELD,
        State.RUNNING: Phase.EXECUTING,
        State.SUSPENDED: Phase.SUSPENDED,
        State.UNKNOWN: Phase.UNKNOWN,
    }
    order = [State.HELD, State.WAITING, State.UNKNOWN, State.HELD, State.RUNNING]
    order += [State.SUSPENDED, State.UNKNOWN, State.SUSPENDED, State.RUNNING, State.HELD]
    for state in order:
        job = stage.see(state, message=f"it is {state.name}")
        assert (job.phase, job.info["message"]) == (script[state], f"it is {state.name}")
        assert ("backend" in job.info) is (job.started is not None)
    job = stage.see(State.DONE)
    assert (job.phase, job.info) == (Phase.COMPLETED, {"backend": "scripted"})


def test_what_jobinfo_alone_tells_is_written_once_a_second_and_wakes_nobody(stage: Stage) -> None:
    waiting, heard = Waiting(stage.feed.listen()), stage.feed.listen()

    def at(percent: int) -> str | None:
        progress = Progress(fraction=percent / 100)
        return stage.see(State.RUNNING, progress=progress).info.get("progress")

    try:
        with waiting.subscribe("j") as start:
            assert at(1) == "0.01"
            assert start.wait(10)
        assert list(heard.changed()) == ["j"]
        with waiting.subscribe("j") as change:
            assert (at(2), at(3), at(4)) == ("0.02", "0.02", "0.02")
            stage.now += PACE
            assert (at(5), at(6)) == ("0.05", "0.05")
            assert not change.wait(0.6), "longer than a watcher sleeps"
            assert list(heard.changed()) == []
            stage.see(State.SUSPENDED)
            assert change.wait(10)
    finally:
        heard.close()
        waiting.close()


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    """Keep everybody from writing."""
    with closing(sqlite3.connect(str(stage.database.url.database))) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def gone(stage: Stage) -> Iterator[None]:
    """Keep everybody from reading, too."""
    with closing(sqlite3.connect(str(stage.database.url.database))) as other:
        other.execute("ALTER TABLE execution RENAME TO elsewhere")
        yield
        other.execute("ALTER TABLE elsewhere RENAME TO execution")


@pytest.mark.parametrize("fault", [locked, gone])
def test_nothing_is_asked_of_an_engine_while_the_database_cannot_be_used(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[Stage], AbstractContextManager[None]],
) -> None:
    def asked_meanwhile() -> list[str]:
        with fault(stage), pytest.raises(DATABASE_FAULTS):
            stage.supervisor.tick()
        return list(stage.engine.asked)

    monkeypatch.setattr("uwsd.embedded._PATIENCE", 0.1)
    assert asked_meanwhile() == []
    stage.see(State.RUNNING)
    stage.store.change(None, "j", lambda job: job.on(Event.ABORT, at=LATER), want=Want.STOP)
    assert asked_meanwhile() == ["submit j"]
    stage.supervisor.tick()
    assert stage.engine.asked == ["submit j", "cancel j"]


def test_no_file_is_removed_while_nobody_can_say_whose_it_is(stage: Stage) -> None:
    stray = stage.supervisor._workspaces.root / "stray"
    stray.mkdir(parents=True)
    os.utime(stray, (0, 0))
    with gone(stage), pytest.raises(DATABASE_FAULTS):
        stage.supervisor._sweep()
    assert stray.exists()


def test_files_of_jobs_that_the_database_does_not_know_are_left(stage: Stage) -> None:
    workspaces = stage.supervisor._workspaces
    workspaces.prepare("done-before-the-backup-was-restored")
    workspaces.keep("never-came-to-be", "FILE", BytesIO(b"x"))
    for folder in workspaces.root.iterdir():
        os.utime(folder, (0, 0))
    stage.supervisor._sweep()
    assert [path.name for path in workspaces.root.iterdir()] == [
        "done-before-the-backup-was-restored"
    ]


def test_no_job_is_handed_over_without_room_and_those_that_run_are_looked_after(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room([Path("/")], 0)
    stage.supervisor._require_room = lambda: room.require()  # noqa: PLW0108 - it is replaced
    stage.see(State.RUNNING)
    room = Room([Path("/")], 2**62)
    stage.store.add(replace(a_job(Phase.QUEUED), id="k"), want=Want.RUN)
    stage.see(State.SUSPENDED)
    assert stage.see(State.DONE).phase is Phase.COMPLETED
    assert stage.engine.asked == ["submit j"]
    assert caplog.text.count("no room for new jobs") == 1
    room = Room([Path("/")], 0)
    stage.supervisor.tick()
    assert stage.engine.asked == ["submit j", "submit k"]


def test_no_kill_of_the_supervisor_loses_or_doubles_a_job(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    ledger = tmp_path / "ledger"
    ledger.touch()
    config = tmp_path / "uwsd.toml"
    append = "import sys; open(sys.argv[1], 'a').write(sys.argv[2] + chr(10)); sys.exit(int(sys.argv[3]))"
    config.write_text(
        f"""[services.once]
command = ["{sys.executable}", "-I", "-S", "{{here}}/once.py", "{ledger}", "{{job_id}}", "{{EXIT}}"]
parameters.EXIT = {{ type = "integer", default = 0 }}
"""
    )
    (tmp_path / "once.py").write_text(append)
    server = Server(tmp_path / "data", config).start()
    assert server.process is not None
    jobs = {}
    for number in range(40):
        form = {"EXIT": f"{number % 3}", "PHASE": "RUN"}
        jobs[requests.post(f"{server.url}/once/async", data=form, timeout=60).url] = number % 3
        if number % 4 == 0:
            for pid in _supervisors(server.process.pid):
                os.kill(pid, signal.SIGKILL)
            time.sleep(dice.uniform(0, 0.05))
    expected = ["COMPLETED" if not code else "ERROR" for code in jobs.values()]
    assert [finished(job) for job in jobs] == expected
    server.stop()
    assert sorted(ledger.read_text().split()) == sorted(job.rpartition("/")[2] for job in jobs)


def _supervisors(parent: int) -> list[int]:
    return [
        pid
        for pid in descendants(parent)
        if b"supervise" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def test_supervise_refuses_a_database_of_another_schema(tmp_path: Path) -> None:
    environment = {"UWSD_DATA": str(tmp_path / "data"), "PATH": os.environ["PATH"]}
    command = (sys.executable, "-m", "uwsd")

    def run(verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*command, verb),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    refused = run("supervise")
    assert (refused.returncode, "run `uwsd migrate`" in refused.stderr) == (1, True)
    assert run("migrate").returncode == 0
    assert run("migrate").returncode == 0, "twice is harmless"
    database = tmp_path / "data" / "uwsd.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    refused = run("serve")
    assert refused.returncode == 1
    assert "9999" in refused.stderr
    assert "Traceback" not in refused.stderr
