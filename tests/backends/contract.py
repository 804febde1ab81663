"""What every backend promises, as tests: subclass `BackendContract` and give two fixtures.

``new_backend`` makes an instance of the backend, always of the same one; ``workspaces`` is the
folder where the workspaces of its jobs can be read.
"""

import itertools
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from uwsd.backends.base import (
    Backend,
    BackendError,
    Handle,
    Progress,
    Report,
    State,
    Task,
    TaskRefused,
)

NewBackend = Callable[[], Backend]

PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
BEAT = "while :; do echo . >>beat; sleep 0.05; done"
HOSTILE = (
    "-rf",
    "--",
    "",
    " ",
    "$(id)",
    "`id`; id | id > id &",
    'it\'s "quoted"',
    "two\nlines\r\n\ttabbed",
    "*.py ~ {a,b} %s \\n",
    "Ångström ✨ 銀河",
    "x" * 100_000,
)


def task(*command: str, **more: object) -> Task:
    """Make a task with an id of its own."""
    fields = {"job_id": str(uuid4()), "environment": PATH, **more}
    return Task(command=command, **fields)  # type: ignore[arg-type]


def shell(script: str, **more: object) -> Task:
    """Make a task that runs a script of our own."""
    return task("sh", "-c", script, **more)


def _is_released(backend: Backend, handle: Handle) -> bool:
    try:
        backend.release(handle)
    except BackendError:
        return False
    return True


class BackendContract:
    """Every promise of `Backend`, kept by the real engine."""

    patience = 30.0  #: seconds until a small job must be over
    many = int(os.environ.get("UWSD_MANY", "200"))  #: jobs that are handed over in one go
    cuts = 8  #: submissions that are killed on their way
    submitting = 0.1  #: seconds within which such a submission is killed
    glimpse = 0.5  #: seconds that a job runs which is surely seen to run
    engine_adds: frozenset[str] = frozenset()  #: environment variables that it cannot leave out
    over_memory: Collection[State] = (State.EXCEEDED,)

    def folder(self, workspaces: Path, handle: Handle) -> Path:
        """Return the workspace of a job: here, that the handle is the job's id."""
        return workspaces / handle

    def wait(self, backend: Backend, handle: Handle) -> Report:
        """Wait until the job is over."""
        return self.wait_all(backend, [handle])[handle]

    def wait_all(self, backend: Backend, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Wait until all these jobs are over."""
        reports = backend.poll(handles)
        deadline = time.monotonic() + self.patience
        while not all(report.state.is_over for report in reports.values()):
            assert time.monotonic() < deadline, f"still {reports}"
            time.sleep(0.02)
            reports = backend.poll(handles)
        return reports

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something has come true."""
        deadline = time.monotonic() + self.patience
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    def wait_for_beat(self, workspaces: Path, handle: Handle) -> Path:
        """Wait until a job that runs ``BEAT`` has begun to; return the file that grows."""
        beat = self.folder(workspaces, handle) / "outputs/beat"
        self.wait_for(beat.exists)
        return beat

    def assert_still(self, beat: Path) -> None:
        """Fail if something still makes the file grow."""
        size = beat.stat().st_size
        time.sleep(0.3)
        assert beat.stat().st_size == size

    # How a job ends

    def test_a_job_that_succeeds_is_done_and_leaves_its_results(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        backend = new_backend()
        before = datetime.now(UTC) - timedelta(seconds=5)
        handle = backend.submit(shell("echo 42 >answer"))
        report = self.wait(backend, handle)
        assert (report.state, report.exit_code) == (State.DONE, 0)
        assert report.started
        assert report.ended
        assert before < report.started <= report.ended < before + timedelta(minutes=2)
        assert (self.folder(workspaces, handle) / "outputs/answer").read_text() == "42\n"

    def test_a_job_that_fails_tells_its_exit_status(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        report = self.wait(backend, backend.submit(shell("exit 3")))
        assert (report.state, report.exit_code) == (State.FAILED, 3)
        assert "3" in report.message
        assert not report.transient

    @pytest.mark.parametrize("name", ["SEGV", "KILL", "TERM"])
    def test_a_job_that_is_killed_has_failed(self, new_backend: NewBackend, name: str) -> None:
        backend = new_backend()
        report = self.wait(
            backend, backend.submit(shell(f"(sleep 0.1; kill -{name} $$) & wait; wait"))
        )
        assert report.state is State.FAILED
        assert report.exit_code != 0
        assert f"SIG{name}" in report.message

    def test_a_program_that_is_missing_is_named(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        report = self.wait(backend, backend.submit(task("no-such-program", "x")))
        assert report.state is State.FAILED
        assert "no-such-program" in report.message

    def test_a_job_that_runs_for_too_long_is_stopped(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        backend = new_backend()
        handle = backend.submit(shell(f"trap '' TERM; {BEAT}", duration=1))
        report = self.wait(backend, handle)
        assert report.state is State.EXCEEDED
        assert "1 s" in report.message
        self.assert_still(self.folder(workspaces, handle) / "outputs/beat")

    def test_a_job_within_its_time_is_left_alone(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        handle = backend.submit(shell("sleep 0.2", duration=60, memory=10**9))
        assert self.wait(backend, handle).state is State.DONE

    def test_a_job_that_uses_too_much_memory_is_stopped(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        hog = "head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null"
        report = self.wait(backend, backend.submit(shell(hog, memory=100_000_000)))
        assert report.state in self.over_memory
        assert report.message

    def test_what_a_job_leaves_running_is_ended_with_it(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        backend = new_backend()
        handle = backend.submit(
            shell(f"(setsid sh -c '{BEAT}' &); while ! [ -e beat ]; do :; done")
        )
        assert self.wait(backend, handle).state is State.DONE
        self.assert_still(self.folder(workspaces, handle) / "outputs/beat")

    # What a job is given, and what it leaves

    def test_files_are_there_before_the_command_starts(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        backend = new_backend()
        files = {
            "inputs/a b.bin": bytes(range(256)),
            "inputs/deep/x": b"x",
            "parameters.json": b"{}",
        }
        handle = backend.submit(
            shell("cat ../inputs/* ../inputs/deep/x ../*.json >all", files=files)
        )
        self.wait(backend, handle)
        assert (self.folder(workspaces, handle) / "outputs/all").read_bytes() == bytes(
            range(256)
        ) + b"x{}"

    def test_the_environment_is_exactly_the_given_one(
        self, new_backend: NewBackend, workspaces: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SERVER_SECRET", "do not tell")
        backend = new_backend()
        given = {**PATH, "UWSD_X": "a=b\n$HOME ✨", "EMPTY": ""}
        handle = backend.submit(task("cat", "/proc/self/environ", environment=given))
        self.wait(backend, handle)
        lines = (
            (self.folder(workspaces, handle) / "logs/stdout").read_bytes().decode().split("\0")[:-1]
        )
        seen = dict(line.split("=", 1) for line in lines)
        assert {n: v for n, v in seen.items() if n in given or n not in self.engine_adds} == given

    def test_arguments_are_verbatim(self, new_backend: NewBackend, workspaces: Path) -> None:
        backend = new_backend()
        # Not the last command: some shells become that.
        handle = backend.submit(task("sh", "-c", "cat /proc/$$/cmdline; :", *HOSTILE))
        self.wait(backend, handle)
        seen = (self.folder(workspaces, handle) / "logs/stdout").read_bytes().decode().split("\0")
        assert seen[3:-1] == list(HOSTILE)

    def test_standard_input_is_empty(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        assert self.wait(backend, backend.submit(shell("! read x"))).state is State.DONE

    def test_logs_can_be_read_while_the_job_runs(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        backend = new_backend()
        handle = backend.submit(shell("echo out; echo err >&2; sleep 60"))
        logs = self.folder(workspaces, handle) / "logs"
        self.wait_for(
            lambda: (logs / "stderr").exists() and (logs / "stderr").read_text() == "err\n"
        )
        assert (logs / "stdout").read_text() == "out\n"
        self.wait_for(lambda: backend.poll([handle])[handle].state is State.RUNNING)
        backend.release(handle)

    def test_a_job_tells_how_far_it_is(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        handle = backend.submit(shell("echo 0.25 reading >../progress; sleep 60"))
        self.wait_for(lambda: backend.poll([handle])[handle].progress)
        expected = Progress(fraction=0.25, activity="reading")
        report = backend.poll([handle])[handle]
        assert (report.state, report.progress) == (State.RUNNING, expected)
        assert backend.progress(handle) in (expected, None)
        assert report.facts, "what the engine calls it, or where it is"
        backend.release(handle)

    def test_large_output_arrives_whole(self, new_backend: NewBackend, workspaces: Path) -> None:
        backend = new_backend()
        handle = backend.submit(shell("head -c 20000000 /dev/zero"))
        self.wait(backend, handle)
        assert (self.folder(workspaces, handle) / "logs/stdout").stat().st_size == 20_000_000

    # Handing over

    @pytest.mark.parametrize(
        "wrong",
        [
            {"command": ()},
            {"command": ("",)},
            {"command": ("true", "a\0b")},
            {"command": ("true", "\ud800")},
            {"environment": {"A=B": "c"}},
            {"files": {"../outside": b""}},
            {"files": {"/tmp/outside": b""}},
            {"files": {"run/task.json": b""}},
            {"job_id": "../outside"},
            {"job_id": ".."},
            {"job_id": ""},
        ],
        ids=str,
    )
    def test_a_task_that_can_never_run_is_refused(
        self, new_backend: NewBackend, workspaces: Path, wrong: dict[str, object]
    ) -> None:
        backend = new_backend()
        fields = {"job_id": "refused", "command": ("true",), **wrong}
        with pytest.raises(TaskRefused):
            backend.submit(Task(**fields))  # type: ignore[arg-type]
        assert backend.find("refused") is None
        assert not (workspaces / "refused").exists()
        assert not (workspaces.parent / "outside").exists()

    def test_submitting_again_starts_nothing_new(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        backend = new_backend()
        script = "echo run >>runs; while ! [ -e ../inputs/go ]; do sleep 0.05; done"
        once = shell(script, files={"inputs/mine": b"as it was"})
        handle = backend.submit(once)
        self.wait_for((self.folder(workspaces, handle) / "outputs/runs").exists)
        (self.folder(workspaces, handle) / "inputs/mine").write_text("changed by the job")
        assert backend.submit(once) == handle
        assert new_backend().submit(once) == handle
        (self.folder(workspaces, handle) / "inputs/go").touch()
        self.wait(backend, handle)
        assert backend.submit(once) == handle
        assert backend.poll([handle])[handle].state is State.DONE
        assert (self.folder(workspaces, handle) / "outputs/runs").read_text() == "run\n"
        assert (self.folder(workspaces, handle) / "inputs/mine").read_text() == "changed by the job"

    def test_submitting_from_many_threads_starts_one_job(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        backends = [new_backend() for _ in range(8)]
        once = shell("echo run >>runs; sleep 0.5")
        with ThreadPoolExecutor(len(backends)) as pool:
            handles = set(pool.map(lambda backend: backend.submit(once), backends))
        (handle,) = handles
        assert self.wait(backends[0], handle).state is State.DONE
        assert (self.folder(workspaces, handle) / "outputs/runs").read_text() == "run\n"

    def test_submitting_from_many_processes_starts_one_job(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        once = shell("echo run >>runs; sleep 0.5")
        fork = multiprocessing.get_context("fork")
        processes = [fork.Process(target=lambda: new_backend().submit(once)) for _ in range(8)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        backend = new_backend()
        handle = backend.find(once.job_id)
        assert [process.exitcode for process in processes] == [0] * len(processes)
        assert handle is not None
        assert self.wait(backend, handle).state is State.DONE
        assert (self.folder(workspaces, handle) / "outputs/runs").read_text() == "run\n"

    def test_a_submission_that_was_killed_is_taken_up_again(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        seed = random.randrange(2**32)
        print(f"seed {seed}")
        rng = random.Random(seed)
        fork = multiprocessing.get_context("fork")
        for _ in range(self.cuts):
            once = shell("echo run >>runs")
            process = fork.Process(target=lambda once=once: new_backend().submit(once))
            process.start()
            process.join(rng.uniform(0, self.submitting))
            process.kill()
            process.join()
            backend = new_backend()
            handle = backend.submit(once)
            assert self.wait(backend, handle).state is State.DONE
            runs = self.folder(workspaces, handle) / "outputs/runs"
            assert runs.read_text() == "run\n"

    def test_many_jobs_at_once_all_end(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        handles = [backend.submit(task("true")) for _ in range(self.many)]
        reports = self.wait_all(backend, handles)
        assert {report.state for report in reports.values()} == {State.DONE}
        assert len(reports) == self.many

    # Asking

    def test_a_new_instance_answers_for_old_jobs(self, new_backend: NewBackend) -> None:
        handle = new_backend().submit(shell("sleep 0.3; exit 5"))
        report = self.wait(new_backend(), handle)
        assert (report.state, report.exit_code) == (State.FAILED, 5)
        assert new_backend().poll([handle])[handle] == report

    def test_poll_answers_for_every_handle(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        known = backend.submit(task("true"))
        strange = [Handle(name) for name in ("never-was", "../etc", "", "a\0b", "x" * 5000)]
        reports = backend.poll([*strange, known])
        assert reports.keys() == {*strange, known}
        assert {reports[handle].state for handle in strange} == {State.LOST}
        assert self.wait(backend, known).state is State.DONE

    def test_a_job_is_found_by_its_id(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        handed_over = task("true")
        assert backend.find(handed_over.job_id) is None
        handle = backend.submit(handed_over)
        assert new_backend().find(handed_over.job_id) == handle
        self.wait(backend, handle)

    def test_states_only_go_forward(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        handle = backend.submit(shell(f"sleep {self.glimpse}"))
        deadline = time.monotonic() + self.patience
        seen = [State.WAITING]
        while not seen[-1].is_over and time.monotonic() < deadline:
            seen.append(backend.poll([handle])[handle].state)
        seen.append(backend.poll([handle])[handle].state)
        assert [state for state, _ in itertools.groupby(seen)] == [
            State.WAITING,
            State.RUNNING,
            State.DONE,
        ]

    # Stopping

    @pytest.mark.parametrize(
        "script",
        [
            BEAT,
            f"trap '' TERM; {BEAT}",
            f"setsid sh -c '{BEAT}' & wait",
            f"(setsid sh -c \"trap '' TERM; {BEAT}\" &); sleep 60",
        ],
        ids=["plain", "deaf", "other session", "deaf, other session, no parent"],
    )
    def test_cancel_ends_the_whole_tree(
        self, new_backend: NewBackend, workspaces: Path, script: str
    ) -> None:
        backend = new_backend()
        handle = backend.submit(shell(script))
        beat = self.wait_for_beat(workspaces, handle)
        began = time.monotonic()
        backend.cancel(handle)
        assert time.monotonic() - began < 1
        assert self.wait(backend, handle).state is State.CANCELLED
        self.assert_still(beat)

    def test_a_job_cancelled_at_once_does_not_go_on(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        handle = backend.submit(shell("sleep 60"))
        backend.cancel(handle)
        assert self.wait(backend, handle).state is State.CANCELLED

    def test_cancelling_a_job_that_has_ended_changes_nothing(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        handle = backend.submit(shell("exit 4"))
        report = self.wait(backend, handle)
        backend.cancel(handle)
        assert new_backend().poll([handle])[handle] == report
        backend.cancel(Handle("never-was"))

    def test_release_stops_a_job_and_leaves_its_files(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        backend = new_backend()
        handle = backend.submit(shell(f"(setsid sh -c \"trap '' TERM; {BEAT}\" &); sleep 60"))
        beat = self.wait_for_beat(workspaces, handle)
        backend.release(handle)
        self.assert_still(beat)
        assert backend.poll([handle])[handle].state is State.LOST
        assert backend.find(handle) is None

    def test_a_job_that_is_cancelled_and_released_by_several_is_gone(
        self, new_backend: NewBackend, workspaces: Path
    ) -> None:
        handle = new_backend().submit(shell(BEAT))
        beat = self.wait_for_beat(workspaces, handle)

        def stop(step: str) -> None:
            with suppress(BackendError):  # "try again later" is an answer
                getattr(new_backend(), step)(handle)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(stop, ["cancel", "release"] * 3))
        backend = new_backend()
        self.wait_for(lambda: _is_released(backend, handle))
        self.assert_still(beat)
        assert backend.poll([handle])[handle].state is State.LOST

    def test_releasing_twice_is_harmless(self, new_backend: NewBackend) -> None:
        backend = new_backend()
        handle = backend.submit(task("true"))
        self.wait(backend, handle)
        backend.release(handle)
        backend.release(handle)
        new_backend().release(handle)
        backend.release(Handle("never-was"))
        assert backend.poll([handle])[handle].state is State.LOST

    def test_a_backend_that_works_says_so(self, new_backend: NewBackend) -> None:
        assert new_backend().check() is None
