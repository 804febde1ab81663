"""Parts of a Kubernetes cluster are killed while jobs run on it; each test leaves it whole."""

import json
import logging
import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kubernetes import client

from tests.backends.contract import BEAT, BackendContract, shell, task
from tests.backends.kubernetes import Make, WithBackends, is_readable
from tests.engines.daemons import wait_until
from tests.engines.kubernetes import NAMESPACE, Private, is_node_ready
from tests.needs import has_patience
from uwsd.backends.base import BackendError, Handle, Report, State, Unreachable
from uwsd.backends.kubernetes import api, chores
from uwsd.backends.kubernetes.driver import KubernetesBackend
from uwsd.backends.kubernetes.objects import is_over
from uwsd.backends.names import key

pytestmark = has_patience

PARTS = ("apiserver", "etcd", "kcm", "ks", "containerd", "kubelet")
GO = "while ! [ -e ../inputs/go ]; do sleep 0.05; done"


class Patience(BackendContract):
    """Waits as the contract's tests do, also while nobody answers."""

    patience = 100.0

    def answer(self, backend: KubernetesBackend, handle: Handle) -> Report | None:
        with suppress(BackendError):
            return backend.poll([handle])[handle]
        return None

    def until(self, backend: KubernetesBackend, handle: Handle, state: State) -> Report:
        """Wait until the job is in this state, and never in another one that is over."""

        def is_so() -> bool:
            report = self.answer(backend, handle)
            assert report is None or report.state is state or not report.state.is_over, report
            return report is not None and report.state is state

        self.wait_for(is_so)
        return backend.poll([handle])[handle]


wait = Patience()


class TestFaults(WithBackends):
    """Parts are killed."""

    @pytest.fixture(autouse=True)
    def whole(self, private_kubernetes: Private, make: Make) -> Iterator[None]:
        """See to it that the engine is whole again before jobs are released."""
        yield
        for name in PARTS:
            private_kubernetes.daemons.restart(name)
        wait_until(lambda: is_node_ready(private_kubernetes, "node1"), 60, "the node is not ready")

    @pytest.fixture
    def engine(self, private_kubernetes: Private) -> Private:
        return private_kubernetes

    @pytest.mark.parametrize("part", ["apiserver", "etcd"])
    def test_nobody_answers_for_a_while(
        self,
        make: Make,
        workspaces: Path,
        engine: Private,
        part: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(api, "_TIMEOUT", (1.0, 2.0))
        backend = make()
        handle, other = backend.submit(shell(f"{GO}; exit 5")), task("true")
        wait.until(backend, handle, State.RUNNING)
        engine.daemons.kill(part)
        for question in (backend.submit, make().submit):
            with pytest.raises(Unreachable):
                question(other)
        with pytest.raises(Unreachable):
            make().poll([handle])
        (workspaces / handle / "inputs/go").touch()
        engine.daemons.restart(part)
        report = wait.until(backend, handle, State.FAILED)
        assert report.exit_code == 5
        wait.until(backend, backend.submit(other), State.DONE)
        wait.wait_for(lambda: backend.check() is None)

    def test_a_server_that_sleeps_through_the_end_of_a_job_learns_of_it(
        self, make: Make, workspaces: Path, engine: Private
    ) -> None:
        backend = make()
        handle = backend.submit(shell(GO))
        wait.until(backend, handle, State.RUNNING)
        (wakeup,) = backend.wakeups()
        backend.poll([handle])
        engine.daemons.kill("apiserver")
        assert is_readable(wakeup, 30), "it was not told that nobody watches any more"
        (workspaces / handle / "inputs/go").touch()
        engine.daemons.restart("apiserver")
        wait.until(backend, handle, State.DONE)

    def test_a_watch_that_comes_too_late_begins_anew(
        self,
        make: Make,
        workspaces: Path,
        engine: Private,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG, "uwsd")
        engine.daemons.kill("apiserver")
        engine.daemons.restart("apiserver")  # it has forgotten all that was before
        backend = make()
        handle = backend.submit(shell(GO))
        real = backend._cluster.api.watch_pods
        asked: list[str] = []

        def late(version: str, seconds: int) -> api.Stream:
            asked.append(version)
            return real("1" if len(asked) == 1 else version, seconds)

        monkeypatch.setattr(backend._cluster.api, "watch_pods", late)
        wait.until(backend, handle, State.RUNNING)
        (workspaces / handle / "inputs/go").touch()
        wait.until(backend, handle, State.DONE)
        assert "too old resource version" in caplog.text

    def test_a_job_runs_on_while_containerd_and_the_kubelet_are_away(
        self, make: Make, workspaces: Path, engine: Private
    ) -> None:
        backend = make()
        handle = backend.submit(shell(f"echo run >>runs; {GO}; exit 5"))
        wait.until(backend, handle, State.RUNNING)
        engine.daemons.kill("containerd")
        engine.daemons.kill("kubelet")
        (workspaces / handle / "inputs/go").touch()
        wait.wait_for(lambda: True)
        engine.daemons.restart("containerd")
        engine.daemons.restart("kubelet")
        assert wait.until(backend, handle, State.FAILED).exit_code == 5
        assert (workspaces / handle / "outputs/runs").read_text() == "run\n"

    def test_a_job_on_a_silent_node_is_unknown_until_the_node_is_back(
        self, make: Make, workspaces: Path, engine: Private
    ) -> None:
        backend = make()
        handle = backend.submit(shell(f"echo run >>runs; {GO}"))
        wait.until(backend, handle, State.RUNNING)
        engine.daemons.kill("kubelet")
        report = wait.until(backend, handle, State.UNKNOWN)
        assert "node1" in report.message
        engine.daemons.restart("kubelet")
        wait.until(backend, handle, State.RUNNING)
        (workspaces / handle / "inputs/go").touch()
        wait.until(backend, handle, State.DONE)
        assert (workspaces / handle / "outputs/runs").read_text() == "run\n"

    def test_a_job_on_a_node_that_is_closed_to_it_is_a_passing_failure(
        self, make: Make, workspaces: Path, engine: Private
    ) -> None:
        backend = make()
        handle = backend.submit(shell(BEAT))
        beat = wait.wait_for_beat(workspaces, handle)
        engine.kubectl("taint", "node", "node1", "closed=now:NoExecute")
        try:
            report = wait.until(backend, handle, State.FAILED)
        finally:
            engine.kubectl("taint", "node", "node1", "closed:NoExecute-")
        assert report.transient
        assert "closed to it" in report.message
        wait.assert_still(beat)

    def test_a_job_that_makes_room_for_another_is_a_passing_failure(
        self, make: Make, engine: Private
    ) -> None:
        with engine.api as api:
            scheduling = client.SchedulingV1Api(api)
            for name, value in (("low", 1), ("high", 1000)):
                body = {"metadata": {"name": name}, "value": value}
                scheduling.create_priority_class(body)
            room = os.cpu_count() or 1
            low, high = make(priority_class="low"), make(priority_class="high")
            first = low.submit(shell("sleep 600", cpus=0.6 * room))
            wait.until(low, first, State.RUNNING)
            second = high.submit(shell("true", cpus=0.6 * room))
            report = wait.until(low, first, State.FAILED)
            assert report.transient
            assert "more important" in report.message
            wait.until(high, second, State.DONE)
            for name in ("low", "high"):
                scheduling.delete_priority_class(name)

    @pytest.mark.timeout(300)
    def test_a_job_whose_node_is_removed_is_a_passing_failure(
        self, make: Make, workspaces: Path, engine: Private
    ) -> None:
        backend = make()
        handle = backend.submit(shell(f"echo run >>runs; {BEAT}"))
        beat = wait.wait_for_beat(workspaces, handle)
        wait.until(backend, handle, State.RUNNING)
        engine.daemons.kill("kubelet")
        engine.kubectl("delete", "node", "node1")
        report = wait.until(backend, handle, State.FAILED)
        assert report.transient
        assert "node was removed" in report.message
        engine.daemons.restart("kubelet")
        wait.wait_for(lambda: _stands_still(beat))
        assert (workspaces / handle / "outputs/runs").read_text() == "run\n"

    def test_jobs_wait_while_nobody_places_them(self, make: Make, engine: Private) -> None:
        engine.daemons.kill("ks")
        backend = make()
        handle = backend.submit(task("true"))
        wait.wait_for(lambda: backend._cluster.pods_now(backend._cluster.name(handle)))
        assert backend.poll([handle])[handle].state is State.WAITING
        engine.daemons.restart("ks")
        wait.until(backend, handle, State.DONE)

    @pytest.mark.parametrize("way", ["cancel", "duration", "release"])
    def test_a_job_is_ended_although_the_controllers_are_stuck(
        self,
        make: Make,
        workspaces: Path,
        engine: Private,
        way: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(chores, "_OVERDUE", 1.0)
        backend = make()
        backend._most_patience = 1.0
        handle = backend.submit(shell(BEAT, duration=4 if way == "duration" else 0))
        beat = wait.wait_for_beat(workspaces, handle)
        wait.until(backend, handle, State.RUNNING)
        engine.daemons.kill("kcm")
        if way == "release":
            with pytest.raises(BackendError, match="still being stopped"):
                backend.release(handle)
            wait.assert_still(beat)
            engine.daemons.restart("kcm")
            wait.wait_for(lambda: backend._cluster.job_now(key(workspaces, handle)) is None)
            return
        expected = State.EXCEEDED if way == "duration" else State.CANCELLED
        if way == "cancel":
            backend.cancel(handle)
        wait.until(backend, handle, expected)
        wait.assert_still(beat)
        engine.daemons.restart("kcm")
        name = key(workspaces, handle)
        wait.wait_for(
            lambda: (backend._cluster.job_now(name) or {}).get("status", {}).get("failed")
        )
        assert make().poll([handle])[handle].state is expected

    def test_a_job_that_has_ended_is_left_as_it_is_although_nobody_noted_it(
        self, make: Make, workspaces: Path, engine: Private
    ) -> None:
        backend = make()
        handle = backend.submit(shell(GO))
        wait.until(backend, handle, State.RUNNING)
        engine.daemons.kill("kcm")
        (workspaces / handle / "inputs/go").touch()
        report = wait.until(backend, handle, State.DONE)
        backend.cancel(handle)
        engine.daemons.restart("kcm")
        name = key(workspaces, handle)
        wait.wait_for(lambda: is_over(backend._cluster.job_now(name) or {}))
        assert make().poll([handle])[handle] == report

    @pytest.mark.timeout(400)
    def test_kills_at_random_moments_lose_nothing_and_run_nothing_twice(
        self, make: Make, workspaces: Path, engine: Private, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api, "_TIMEOUT", (1.0, 5.0))
        seed, many = random.randrange(2**32), int(os.environ.get("UWSD_MANY", "20"))
        print(f"seed {seed}, {many} jobs")
        rng = random.Random(seed)
        tasks = {
            t.job_id: t for t in (shell("echo run >>runs; sleep 1; exit 3") for _ in range(many))
        }
        handles: dict[str, Handle] = {}
        reports: dict[Handle, Report] = {}
        victim, back = "", time.monotonic()
        kills, deadline = 0, time.monotonic() + 360
        backend = make()
        while len(reports) < many:
            assert time.monotonic() < deadline, f"{len(reports)} of {many} are over"
            if not victim and kills < 8 and time.monotonic() > back:
                victim, back = rng.choice(PARTS), time.monotonic() + rng.uniform(0.2, 3)
                engine.daemons.kill(victim)
                kills += 1
            elif victim and time.monotonic() > back:
                engine.daemons.restart(victim)
                victim, back = "", time.monotonic() + rng.uniform(0.5, 3)
            for waiting in [t for t in tasks.values() if t.job_id not in handles][:3]:
                with suppress(BackendError):
                    handles[waiting.job_id] = backend.submit(waiting)
            with suppress(BackendError):
                left = [handle for handle in handles.values() if handle not in reports]
                reports |= {h: r for h, r in backend.poll(left).items() if r.state.is_over}
            time.sleep(0.05)
        runs = {h: _read(workspaces / h / "outputs/runs") for h in reports}
        twice = [handle for handle, text in runs.items() if text not in ("", "run\n")]
        # A container whose runtime died while it was made is not made again, and that is told.
        broken = [report for report in reports.values() if report.exit_code != 3]
        print(f"{many} jobs, {kills} kills, {len(twice)} run twice, not begun: {broken}")
        assert not twice
        assert {report.state for report in reports.values()} == {State.FAILED}
        assert all(report.transient for report in broken)
        assert all(runs[h] for h, report in reports.items() if report not in broken)

    def test_credentials_that_are_not_taken_are_silence_and_no_failure(
        self, make: Make, engine: Private
    ) -> None:
        stranger = engine.kubeconfig_of({"token": "nobody"})
        backend = make(kubeconfig=stranger)
        with pytest.raises(Unreachable, match="Unauthorized"):
            backend.submit(task("true"))
        text = json.loads(engine.kubeconfig.read_text())
        stranger.write_text(json.dumps(text))  # they were renewed
        wait.until(backend, backend.submit(task("true")), State.DONE)

    def test_an_account_without_rights_is_told_which(self, make: Make, engine: Private) -> None:
        with engine.api as admin:
            core = client.CoreV1Api(admin)
            with suppress(client.ApiException):
                core.create_namespaced_service_account(
                    NAMESPACE, {"metadata": {"name": "powerless"}}
                )
            request = {"spec": {"expirationSeconds": 3600}}
            token = core.create_namespaced_service_account_token("powerless", NAMESPACE, request)
        backend = make(kubeconfig=engine.kubeconfig_of({"token": token.status.token}))
        assert "may not create jobs in the namespace jobs" in (backend.check() or "")
        for question in (lambda: backend.submit(task("true")), lambda: backend.poll([Handle("x")])):
            with pytest.raises(Unreachable, match="forbidden"):
                question()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _stands_still(beat: Path) -> bool:
    size = beat.stat().st_size
    time.sleep(0.3)
    return beat.stat().st_size == size
