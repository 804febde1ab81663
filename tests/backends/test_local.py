"""The local backend, with real processes in a real folder."""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.backends.contract import BEAT, PATH, BackendContract, NewBackend, shell, task
from tests.serving import at_work_in
from uwsd.backends.base import Handle, State
from uwsd.backends.local import LocalBackend, Options, create
from uwsd.worker.memory import GroupLimit, limit, remove
from uwsd.worker.processes import everybody

GO = "while ! [ -e ../inputs/go ]; do sleep 0.02; done"


def has_groups() -> bool:
    """Say whether memory can be limited by a control group here."""
    probe = limit(10**9, f"uwsd-probe-{os.getpid()}")
    remove(probe.group)
    return isinstance(probe, GroupLimit)


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change a record by hand."""
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


class TestLocalBackend(BackendContract):
    """The contract, and what only processes of this machine can show."""

    over_memory = (State.EXCEEDED,) if has_groups() else (State.FAILED,)

    @pytest.fixture
    def workspaces(self, tmp_path: Path) -> Iterator[Path]:
        root = tmp_path / "jobs"
        yield root
        backend = LocalBackend(root, slots=8)
        for workspace in root.iterdir():
            backend.release(Handle(workspace.name))

    @pytest.fixture
    def new_backend(self, workspaces: Path) -> NewBackend:
        return lambda: self.backend(workspaces)

    def backend(self, workspaces: Path, slots: int = 8) -> LocalBackend:
        return LocalBackend(workspaces, slots=slots, grace=0.4)

    def worker_of(self, workspaces: Path, handle: Handle) -> int:
        start = json.loads((workspaces / handle / "run/start.json").read_text())
        return int(start["worker"][0])

    @pytest.fixture
    def stranger(self) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
            yield process
            process.kill()

    def is_readable(self, descriptor: int, within: float = BackendContract.patience) -> bool:
        """Wait for something to be read there, and say whether there is."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(within * 1000))

    # Servers and workers that die

    def test_the_exit_status_of_a_job_whose_server_was_killed_is_known(
        self, workspaces: Path
    ) -> None:
        serve = (
            "import sys, time; from pathlib import Path\n"
            "from tests.backends.contract import shell\n"
            "from uwsd.backends.local import LocalBackend\n"
            "backend = LocalBackend(Path(sys.argv[1]), slots=1)\n"
            "print(backend.submit(shell(sys.argv[2])), flush=True); time.sleep(60)"
        )
        command = [sys.executable, "-c", serve, str(workspaces), f"{GO}; exit 7"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env=environment, start_new_session=True
        ) as server:
            assert server.stdout
            handle = Handle(server.stdout.readline().decode().strip())
            os.killpg(server.pid, signal.SIGKILL)
        backend = self.backend(workspaces)
        assert backend.poll([handle])[handle].state is State.RUNNING
        (workspaces / handle / "inputs/go").touch()
        report = self.wait(backend, handle)
        assert (report.state, report.exit_code) == (State.FAILED, 7)

    @pytest.mark.parametrize(
        ("script", "mark"),
        [
            (BEAT, {}),
            (f"trap '' TERM; {BEAT}", {}),
            (f"(sh -c '{BEAT}' &); sleep 60", {}),
            (f"setsid sh -c '{BEAT}'", {"UWSD_JOB_ID": "orphaned"}),
        ],
        ids=["plain", "deaf", "no parent", "other session"],
    )
    def test_a_job_whose_worker_was_killed_is_lost_and_gone(
        self, workspaces: Path, script: str, mark: dict[str, str]
    ) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell(script, job_id="orphaned", environment={**PATH, **mark}))
        beat = self.wait_for_beat(workspaces, handle)
        os.kill(self.worker_of(workspaces, handle), signal.SIGKILL)
        report = self.wait(backend, handle)
        assert (report.state, report.transient) == (State.LOST, True)
        self.assert_still(beat)
        assert self.backend(workspaces).poll([handle])[handle] == report

    def test_a_command_does_not_outlive_its_worker(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell(f"echo $$ >pid; exec sh -c '{BEAT}'"))
        self.wait_for_beat(workspaces, handle)
        pid = int((workspaces / handle / "outputs/pid").read_text())
        command = os.pidfd_open(pid)
        os.kill(self.worker_of(workspaces, handle), signal.SIGKILL)
        assert self.is_readable(command)
        os.close(command)

    def test_a_job_that_kills_its_worker_at_once_is_gone(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        script = "(sleep 60) & kill -KILL $PPID"
        handles = [backend.submit(shell(script)) for _ in range(8)]
        reports = self.wait_all(backend, handles)
        assert {report.state for report in reports.values()} == {State.LOST}
        assert not at_work_in(workspaces)

    @pytest.mark.skipif(not has_groups(), reason="needs a control group of its own")
    def test_a_control_group_finds_whoever_hides_from_a_killed_worker(
        self, workspaces: Path
    ) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell(f"setsid sh -c '{BEAT}'", memory=10**9))
        beat = self.wait_for_beat(workspaces, handle)
        leader = json.loads((workspaces / handle / "run/command.json").read_text())
        os.kill(self.worker_of(workspaces, handle), signal.SIGKILL)
        assert self.wait(backend, handle).state is State.LOST
        self.assert_still(beat)
        assert leader["group"]
        assert not Path(leader["group"]).exists()

    @pytest.mark.skipif(not has_groups(), reason="needs a control group of its own")
    def test_memory_is_limited_for_all_processes_together(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        hog = "head -c 100000000 /dev/zero | tail -c 80000000 >/dev/null"
        handle = backend.submit(shell(f"{hog} & {hog} & wait; exit 0", memory=100_000_000))
        report = self.wait(backend, handle)
        assert report.state is State.EXCEEDED
        assert "100000000 bytes" in report.message
        leader = json.loads((workspaces / handle / "run/command.json").read_text())
        assert not Path(leader["group"]).exists()

    def test_a_worker_stopped_by_others_is_not_called_cancelled(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell(BEAT))
        beat = self.wait_for_beat(workspaces, handle)
        os.kill(self.worker_of(workspaces, handle), signal.SIGTERM)
        report = self.wait(backend, handle)
        assert (report.state, report.transient) == (State.LOST, True)
        self.assert_still(beat)

    def test_a_stranger_with_the_pid_of_a_worker_is_not_taken_for_it(
        self, workspaces: Path, stranger: subprocess.Popen[bytes]
    ) -> None:
        backend = self.backend(workspaces)
        handle = self.forsaken(backend, workspaces)
        run = workspaces / handle / "run"
        boot = json.loads((run / "start.json").read_text())["worker"][2]
        edit(run / "start.json", lambda record: record.update(worker=[stranger.pid, 1, boot]))
        edit(run / "command.json", lambda record: record.update(process=[stranger.pid, 1, boot]))
        backend.cancel(handle)
        (run / "cancel").unlink()
        assert backend.poll([handle])[handle].state is State.LOST
        backend.release(handle)
        assert stranger.poll() is None

    def test_a_restart_of_the_machine_is_noticed(
        self, workspaces: Path, stranger: subprocess.Popen[bytes]
    ) -> None:
        backend = self.backend(workspaces)
        handle = self.forsaken(backend, workspaces)
        run = workspaces / handle / "run"
        since = int(Path(f"/proc/{stranger.pid}/stat").read_text().split()[21])
        before = [stranger.pid, since, "another start of the machine"]
        edit(run / "start.json", lambda record: record.update(worker=before))
        edit(run / "command.json", lambda record: record.update(process=before))
        report = backend.poll([handle])[handle]
        assert (report.state, report.transient) == (State.LOST, True)
        assert "restarted" in report.message
        assert stranger.poll() is None

    def forsaken(self, backend: LocalBackend, workspaces: Path) -> Handle:
        """Return a job that has ended, but of which no exit record is there."""
        handle = backend.submit(task("true"))
        self.wait(backend, handle)
        (workspaces / handle / "run/exit.json").unlink()
        return handle

    # Slots

    def test_jobs_start_in_the_order_they_came_no_more_than_there_are_slots(
        self, workspaces: Path
    ) -> None:
        script = (
            "mkdir ../../.one || echo two at once >>../../.order; echo $0 >>../../.order;"
            "sleep 0.03; rmdir ../../.one"
        )
        backend = self.backend(workspaces, slots=1)
        handles = [backend.submit(task("sh", "-c", script, str(n))) for n in range(12)]
        assert backend.poll(handles)[handles[-1]].state is State.WAITING
        self.wait_all(self.backend(workspaces, slots=1), handles)
        assert (workspaces / ".order").read_text().split("\n") == [*map(str, range(12)), ""]

    def test_a_job_that_waits_is_told_its_place(self, workspaces: Path) -> None:
        backend = self.backend(workspaces, slots=1)
        first, *others = (backend.submit(shell("sleep 60")) for _ in range(25))
        backend.cancel(others.pop(0))
        reports = self.backend(workspaces, slots=1).poll(others)
        places = [reports[handle].message.partition(", ")[2] for handle in others]
        assert places[:3] == ["it is the next", "1 before it", "2 before it"]
        assert places[9:11] == ["9 before it", "more than 9 before it"]
        assert set(places[20:]) == {"more than 19 before it"}
        assert reports[others[0]].message.startswith("it waits for the only slot, ")
        assert not reports[others[0]].facts
        for handle in (*others, first):
            backend.release(handle)

    def test_a_job_that_has_started_tells_where_it_is(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell("sleep 60"))
        worker = self.worker_of(workspaces, handle)
        facts = backend.poll([handle])[handle].facts
        assert facts == {"host": os.uname().nodename, "process": str(worker)}
        backend.release(handle)

    def test_a_backend_has_its_slots_for_itself(self, workspaces: Path) -> None:
        narrow = LocalBackend(workspaces, name="narrow", slots=1, grace=0.4)
        first, second = narrow.submit(shell(GO)), narrow.submit(shell("touch started"))
        other = self.backend(workspaces)
        assert self.wait(other, other.submit(task("true"))).state is State.DONE
        assert narrow.poll([second])[second].state is State.WAITING
        (workspaces / first / "inputs/go").touch()
        self.wait_all(narrow, [first, second])

    def test_a_waiting_job_that_is_cancelled_never_starts(self, workspaces: Path) -> None:
        backend = self.backend(workspaces, slots=1)
        first = backend.submit(shell(GO))
        second = backend.submit(shell("touch started"))
        assert backend.poll([second])[second].state is State.WAITING
        backend.cancel(second)
        assert backend.poll([second])[second].state is State.CANCELLED
        (workspaces / first / "inputs/go").touch()
        third = backend.submit(task("true"))
        reports = self.wait_all(backend, [first, second, third])
        assert [report.state for report in reports.values()] == [
            State.DONE,
            State.CANCELLED,
            State.DONE,
        ]
        assert not (workspaces / second / "outputs/started").exists()

    def test_a_waiting_job_that_is_released_never_starts(self, workspaces: Path) -> None:
        backend = self.backend(workspaces, slots=1)
        first = backend.submit(shell(GO))
        second = backend.submit(shell("touch started"))
        backend.release(second)
        (workspaces / first / "inputs/go").touch()
        third = backend.submit(task("true"))
        self.wait_all(backend, [first, third])
        assert backend.poll([second])[second].state is State.LOST
        assert not (workspaces / second / "outputs/started").exists()
        assert list((workspaces / ".queue-local").iterdir()) == []

    def test_a_job_waits_until_a_worker_can_be_started(self, workspaces: Path) -> None:
        broken = LocalBackend(workspaces, slots=1, python=Path("/no/such/python"))
        handle = broken.submit(task("true"))
        report = broken.poll([handle])[handle]
        assert report.state is State.WAITING
        assert "/no/such/python" in report.message
        assert "/no/such/python" in (broken.check() or "")
        assert self.wait(self.backend(workspaces), handle).state is State.DONE

    # Time

    def test_a_job_that_is_forgotten_gets_no_time_of_grace(self, workspaces: Path) -> None:
        backend = LocalBackend(workspaces, slots=1, grace=60)
        for asked_before in (False, True):
            handle = backend.submit(shell(f"trap '' TERM; {BEAT}"))
            beat = self.wait_for_beat(workspaces, handle)
            if asked_before:
                backend.cancel(handle)
            backend.release(handle)
            self.assert_still(beat)

    def test_a_running_job_can_be_given_more_time(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell("sleep 1.5", duration=1))
        backend.amend(handle, 60)
        assert self.wait(backend, handle).state is State.DONE

    def test_a_running_job_can_be_given_less_time(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell(BEAT))
        self.wait_for_beat(workspaces, handle)
        backend.amend(handle, 1)
        report = self.wait(backend, handle)
        assert report.state is State.EXCEEDED
        assert "1 s" in report.message
        backend.amend(handle, 5)
        backend.amend(Handle("never-was"), 5)

    # What a server holds of its jobs

    def test_a_wakeup_comes_when_a_job_ends(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell(GO))
        (wakeup,) = backend.wakeups()
        assert not self.is_readable(wakeup, within=0)
        (workspaces / handle / "inputs/go").touch()
        assert self.is_readable(wakeup)
        assert backend.poll([handle])[handle].state is State.DONE
        assert backend.wakeups() == ()

    def test_a_new_instance_is_woken_by_old_jobs(self, workspaces: Path) -> None:
        handle = self.backend(workspaces).submit(shell(GO))
        backend = self.backend(workspaces)
        backend.poll([handle])
        (wakeup,) = backend.wakeups()
        (workspaces / handle / "inputs/go").touch()
        assert self.is_readable(wakeup)
        assert backend.poll([handle])[handle].state is State.DONE

    def test_nothing_is_left_of_jobs_that_ended(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        self.wait_all(backend, [backend.submit(task("true")) for _ in range(10)])
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
        # Other children, such as the tests' servers, may live.
        ended = [s for s in everybody() if (s.parent, s.state) == (os.getpid(), "Z")]
        assert not ended, "a worker was not waited for"
        backend.poll([])
        assert list((workspaces / ".queue-local").iterdir()) == []

    def test_submitting_does_not_wait_for_the_worker(self, workspaces: Path) -> None:
        backend = self.backend(workspaces, slots=1)
        times = []
        for _ in range(20):
            began = time.perf_counter()
            backend.submit(shell("sleep 60"))
            times.append(time.perf_counter() - began)
        assert sorted(times)[len(times) // 2] < 0.05

    # What a job sees

    def test_a_job_starts_with_clean_signals_descriptors_and_rights(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        leak = os.open("/dev/null", os.O_RDONLY)
        os.set_inheritable(leak, True)
        core = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (core[1], core[1]))
        script = "ls /proc/$$/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status; umask; ulimit -c; pwd"
        handle = backend.submit(shell(script))
        resource.setrlimit(resource.RLIMIT_CORE, core)
        os.close(leak)
        self.wait(backend, handle)
        seen = (workspaces / handle / "logs/stdout").read_text().split()
        assert seen[:3] == ["0", "1", "2"]
        blocked, ignored = int(seen[4], 16), int(seen[6], 16)
        # Signals 32 and 33 are the C library's own, which nobody can set.
        assert (blocked, ignored & ~(3 << 31)) == (0, 0)
        assert seen[7:] == ["0077", "0", str(workspaces / handle / "outputs")]

    def test_a_workspace_is_for_its_owner_alone(self, workspaces: Path) -> None:
        backend = self.backend(workspaces)
        handle = backend.submit(shell("echo x >answer"))
        self.wait(backend, handle)
        assert (workspaces / handle).stat().st_mode & 0o077 == 0
        assert (workspaces / handle / "outputs/answer").stat().st_mode & 0o077 == 0


def test_the_options_have_help_and_defaults(tmp_path: Path) -> None:
    assert Options().slots >= 8
    assert Options().grace == 5.0
    assert all(field.description for field in Options.model_fields.values())
    assert isinstance(create("local", Options(slots=1), tmp_path), LocalBackend)
    for wrong in ({"slots": 0}, {"grace": -1}, {"slot": 3}):
        with pytest.raises(ValidationError):
            Options.model_validate(wrong)
