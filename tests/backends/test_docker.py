"""The Docker backend, on a real engine: the contract, and what only containers can show."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.backends.contract import BEAT, BackendContract, NewBackend, shell, task
from tests.engines.docker import DockerEngine
from tests.worker.oddserver import Server, ok
from uwsd.backends.base import Fetch, Handle, State, TaskRefused
from uwsd.backends.docker import Options
from uwsd.backends.docker.backend import DockerBackend
from uwsd.backends.names import key

Make = Callable[..., DockerBackend]

GO = "while ! [ -e ../inputs/go ]; do sleep 0.05; done"


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand a workspace over")


def age(began: datetime | None) -> float:
    """Return how many seconds ago that was."""
    assert began
    return (datetime.now(UTC) - began).total_seconds()


class TestDockerBackend(BackendContract):
    """Every promise, and the options."""

    many = int(os.environ.get("UWSD_MANY", "60"))
    patience = max(30.0, many * 0.5)
    engine_adds = frozenset(("HOME", "HOSTNAME", "OLDPWD", "PWD", "SHLVL"))

    @pytest.fixture(autouse=True)
    def differences(self, docker_server: DockerEngine) -> None:
        if docker_server.is_podman:
            self.engine_adds |= {"TERM", "container"}
            self.over_memory = (State.EXCEEDED, State.FAILED)  # it does not always tell

    @pytest.fixture
    def workspaces(self, docker_server: DockerEngine, tmp_path: Path) -> Iterator[Path]:
        root = tmp_path / "jobs"
        root.mkdir()
        yield root
        backend = docker_server.backend(root)
        for workspace in root.iterdir():
            if not workspace.name.startswith("."):
                backend.release(Handle(workspace.name))

    @pytest.fixture
    def make(self, docker_server: DockerEngine, workspaces: Path) -> Make:
        return lambda **options: docker_server.backend(workspaces, **options)

    @pytest.fixture
    def new_backend(self, make: Make) -> NewBackend:
        return make

    def said(self, workspaces: Path, handle: Handle) -> str:
        return (workspaces / handle / "logs/stdout").read_text()

    # What a container may

    def test_a_container_has_no_privileges_and_sees_only_its_workspace(
        self, make: Make, workspaces: Path
    ) -> None:
        backend = make()
        (workspaces / "other").mkdir()
        script = """
            grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status
            touch /x 2>/dev/null || echo root is read-only
            touch /tmp/x && echo tmp is not
            ls "$1"
            cat /sys/class/net/*/address
            ulimit -c
        """
        handle = backend.submit(task("sh", "-c", script, "sh", str(workspaces)))
        self.wait(backend, handle)
        fields = [line.split() for line in self.said(workspaces, handle).splitlines()]
        assert fields == [
            ["CapEff:", "0000000000000000"],
            ["CapBnd:", "0000000000000000"],
            ["NoNewPrivs:", "1"],
            ["Seccomp:", "2"],
            ["root", "is", "read-only"],
            ["tmp", "is", "not"],
            [handle],
            ["00:00:00:00:00:00"],
            ["0"],
        ]

    @as_root
    def test_an_image_may_be_written_to_if_that_is_allowed(self, make: Make) -> None:
        backend = make(read_only=False, user="0:0")
        assert self.wait(backend, backend.submit(shell("touch /bin/x"))).state is State.DONE

    def test_the_engine_limits_processes_processors_and_memory(
        self, make: Make, docker_server: DockerEngine, workspaces: Path
    ) -> None:
        backend = make(pids=12, memory="64 MiB", cpus=0.5)
        script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 60 & done; echo all"
        handle = backend.submit(shell(script))
        assert self.wait(backend, handle).state is State.FAILED
        assert "all" not in self.said(workspaces, handle)
        handle = backend.submit(shell("sleep 60"))
        self.wait_for(lambda: backend.poll([handle])[handle].state is State.RUNNING)
        with docker_server.client() as client:
            container = backend.poll([handle])[handle].facts["container"]
            host = client.inspect_container(container)["HostConfig"]
        assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (2**26, 2**26, 5 * 10**8)

    @as_root
    def test_a_job_runs_as_the_configured_user(self, make: Make, workspaces: Path) -> None:
        backend = make(user="4711:4712")
        files = {"inputs/deep/x": b"x", "parameters.json": b"{}"}
        script = "id -u; id -g; cat ../inputs/deep/x ../parameters.json; echo 42 >answer"
        handle = backend.submit(shell(script, files=files))
        assert self.wait(backend, handle).state is State.DONE
        assert self.said(workspaces, handle) == "4711\n4712\nx{}"
        answer = (workspaces / handle / "outputs/answer").stat()
        assert (answer.st_uid, answer.st_gid, answer.st_mode & 0o777) == (4711, 4712, 0o600)

    def test_only_a_job_that_asks_for_it_has_a_network(
        self, make: Make, docker_server: DockerEngine, workspaces: Path
    ) -> None:
        if not docker_server.gateway:
            pytest.skip("nobody knows this machine's address on that engine's network")
        with closing(Server(ok(b"hello"), host=docker_server.gateway)) as web:
            backend = make()
            ask = f"echo GET /x | nc -w 5 {docker_server.gateway} {web.port}"
            handle = backend.submit(shell(ask, network=True))
            assert self.wait(backend, handle).state is State.DONE
            assert "hello" in self.said(workspaces, handle)
            assert self.wait(backend, backend.submit(shell(ask))).state is State.FAILED

    def test_nothing_of_a_job_that_is_over_stays_on_the_engine(
        self, make: Make, docker_server: DockerEngine
    ) -> None:
        backend = make()
        handle = backend.submit(task("true"))
        report = self.wait(backend, handle)
        with docker_server.client() as client:
            everything = {"label": f"uwsd.job={handle}"}
            self.wait_for(lambda: not client.containers(all=True, filters=everything))
        assert make().poll([handle])[handle] == report

    # How a job ends

    def test_a_part_that_used_too_much_memory_is_told_although_the_rest_went_well(
        self, make: Make
    ) -> None:
        backend = make()
        hog = "head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null; exit 0"
        report = self.wait(backend, backend.submit(shell(hog, memory=100_000_000)))
        if State.FAILED in self.over_memory:
            pytest.skip("that engine does not always tell")
        assert (report.state, report.exit_code) == (State.EXCEEDED, 0)
        assert "100000000 bytes" in report.message
        assert "exit status 0" in report.message

    @pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
    def test_a_job_that_somebody_else_has_killed_has_failed(
        self, make: Make, docker_server: DockerEngine, workspaces: Path, signal: str
    ) -> None:
        backend = make()
        handle = backend.submit(shell(BEAT))
        self.wait_for_beat(workspaces, handle)
        with docker_server.client() as client:
            client.kill(backend.poll([handle])[handle].facts["container"], signal)
        report = self.wait(backend, handle)
        assert report.state is State.FAILED
        assert signal in report.message

    def test_an_image_without_a_shell_is_a_clear_failure(
        self, make: Make, docker_server: DockerEngine
    ) -> None:
        with docker_server.client() as client:
            client.import_image_from_data(bytes(10240), repository="uwsd-empty")
        backend = make()
        report = self.wait(backend, backend.submit(task("true", image="uwsd-empty:latest")))
        assert report.state is State.FAILED
        assert "No such file or directory" in report.message

    # How long it may run

    def test_a_duration_may_be_changed_while_the_job_runs(self, make: Make) -> None:
        backend = make()
        handle = backend.submit(shell(f"{GO}", duration=1))
        backend.amend(handle, 60)
        self.wait_for(lambda: backend.poll([handle])[handle].state is State.RUNNING)
        began = backend.poll([handle])[handle].started
        self.wait_for(lambda: age(began) > 1.3)
        assert make().poll([handle])[handle].state is State.RUNNING
        make().amend(handle, 1)
        report = self.wait(backend, handle)
        assert report.state is State.EXCEEDED
        assert report.message.startswith("it was stopped when it had run for 1 s")

    def test_a_paused_job_is_suspended_and_its_time_stands_still(
        self, make: Make, docker_server: DockerEngine, workspaces: Path
    ) -> None:
        backend = make()
        handle = backend.submit(shell(GO, duration=2))
        self.wait_for(lambda: backend.poll([handle])[handle].state is State.RUNNING)
        report = backend.poll([handle])[handle]
        with docker_server.client() as client:
            client.pause(report.facts["container"])
            self.wait_for(lambda: backend.poll([handle])[handle].state is State.SUSPENDED)
            self.wait_for(lambda: age(report.started) > 2.5)
            assert make().poll([handle])[handle].state is State.SUSPENDED
            client.unpause(report.facts["container"])
        assert make().poll([handle])[handle].state is State.RUNNING
        (workspaces / handle / "inputs/go").touch()
        assert self.wait(backend, handle).state is State.DONE

    def test_a_paused_job_can_be_cancelled(
        self, make: Make, docker_server: DockerEngine, workspaces: Path
    ) -> None:
        backend = make()
        handle = backend.submit(shell(BEAT))
        beat = self.wait_for_beat(workspaces, handle)
        with docker_server.client() as client:
            client.pause(backend.poll([handle])[handle].facts["container"])
        backend.cancel(handle)
        assert self.wait(backend, handle).state is State.CANCELLED
        self.assert_still(beat)

    # Whose turn it is

    def test_jobs_wait_for_a_slot_and_start_in_their_order(
        self, make: Make, workspaces: Path
    ) -> None:
        backend = make(slots=1)
        first = backend.submit(shell(GO))
        self.wait_for(lambda: backend.poll([first])[first].state is State.RUNNING)
        others = [backend.submit(task("true")) for _ in range(3)]
        reports = backend.poll(others)
        assert [reports[other].message for other in others] == [
            "it waits for the only slot, it is the next",
            "it waits for the only slot, 1 before it",
            "it waits for the only slot, 2 before it",
        ]
        assert {report.state for report in reports.values()} == {State.WAITING}
        backend.cancel(others[1])
        assert self.wait(backend, others[1]).state is State.CANCELLED
        (workspaces / first / "inputs/go").touch()
        ended = self.wait_all(make(slots=1), others)
        assert age(ended[others[0]].ended) >= age(ended[others[2]].started)
        assert not (workspaces / others[1] / "run").exists()

    # Inputs by URL

    def test_inputs_are_fetched_before_the_job_starts(self, make: Make, workspaces: Path) -> None:
        backend = make()
        with closing(Server(ok(b"fetched"))) as web:
            fetch = Fetch(
                url=web.url, path="inputs/x", max_bytes=99, timeout=9, private_addresses=True
            )
            handle = backend.submit(task("cat", "../inputs/x", fetch=(fetch,)))
            assert self.wait(backend, handle).state is State.DONE
        assert self.said(workspaces, handle) == "fetched"

    def test_a_job_whose_inputs_cannot_be_fetched_has_failed(
        self, make: Make, workspaces: Path
    ) -> None:
        backend = make()
        with closing(Server(ok(b"fetched"))) as web:
            fetch = Fetch(url=web.url, path="inputs/x", max_bytes=99, timeout=9)
            handle = backend.submit(task("cat", "../inputs/x", fetch=(fetch,)))
            report = self.wait(backend, handle)
        assert report.state is State.FAILED
        assert report.message.startswith("x cannot be fetched")
        backend.release(handle)
        assert not (workspaces / handle / "run").exists()

    # Others on the engine

    def test_the_containers_of_others_are_left_alone(
        self, make: Make, docker_server: DockerEngine, workspaces: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        theirs = docker_server.backend(tmp_path / "elsewhere")
        twin = shell(BEAT, job_id="twin")
        handle = theirs.submit(twin)
        try:
            beat = self.wait_for_beat(tmp_path / "elsewhere", handle)
            ours = make()
            assert ours.poll([handle])[handle].state is State.LOST
            ours.cancel(handle)
            ours.release(handle)
            assert ours.submit(twin) == handle
            self.wait_for_beat(workspaces, handle)
            ours.cancel(handle)
            assert self.wait(ours, handle).state is State.CANCELLED
            ours.release(handle)
            assert theirs.poll([handle])[handle].state is State.RUNNING
            size = beat.stat().st_size
            self.wait_for(lambda: beat.stat().st_size > size)
        finally:
            theirs.release(handle)

    def test_a_container_that_has_our_name_and_is_not_ours_is_left_alone(
        self, make: Make, docker_server: DockerEngine, workspaces: Path
    ) -> None:
        backend = make()
        handle = backend.submit(task("true", job_id="taken"))
        name = key(workspaces, handle)
        self.wait(backend, handle)
        backend.release(handle)
        with docker_server.client() as client:
            container = client.create_container(docker_server.image, ["true"], name=name)["Id"]
            try:
                report = self.wait(backend, backend.submit(task("true", job_id="taken")))
                assert report.state is State.FAILED
                assert name in report.message
                backend.release(handle)
                assert client.inspect_container(container)["State"]["Status"] == "created"
            finally:
                client.remove_container(container)

    # What is refused

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"image": "Not An Image"}, "cannot be the name of an image"),
            ({"image": "../etc"}, "cannot be the name of an image"),
            ({"image": "elsewhere.example.org/x:1"}, "not allowed here"),
            ({"gpus": 1}, "GPUs"),
            ({"environment": {"A": "\udcff"}}, "UTF-8"),
        ],
        ids=str,
    )
    def test_what_the_engine_could_never_run_is_refused(
        self, make: Make, docker_server: DockerEngine, wrong: dict[str, object], words: str
    ) -> None:
        backend = make(allowed=[docker_server.image, "*/uwsd/*"])
        with pytest.raises(TaskRefused, match=words):
            backend.submit(task("true", job_id="refused", **wrong))
        assert backend.find("refused") is None

    def test_more_processors_than_there_are_is_a_clear_failure(
        self, make: Make, docker_server: DockerEngine
    ) -> None:
        if docker_server.is_podman:
            pytest.skip("it leaves that to the kernel")
        backend = make()
        report = self.wait(backend, backend.submit(task("true", cpus=100_000)))
        assert report.state is State.FAILED
        assert "CPUs" in report.message


def test_the_options_have_help_and_defaults() -> None:
    assert all(field.description for field in Options.model_fields.values())
    assert Options().user == (f"{os.getuid()}:{os.getgid()}" if os.getuid() else "65534:65534")
    digest = f"registry.example.org:5000/a/b_c@sha256:{'0' * 64}"
    assert Options(image=digest).image == digest
    for wrong in ({"image": "A B"}, {"user": "root"}, {"slots": 0}, {"pull": "now"}, {"x": 1}):
        with pytest.raises(ValidationError):
            Options.model_validate(wrong)
