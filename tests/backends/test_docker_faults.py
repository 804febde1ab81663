"""The Docker backend while the engine, or uwsd itself, dies at the worst moment."""

import multiprocessing
import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.contract import BEAT, BackendContract, shell
from tests.engines.docker import DockerEngine, own_engine
from uwsd.backends.base import Handle, State, Unreachable
from uwsd.backends.docker import rounds
from uwsd.backends.docker.backend import DockerBackend
from uwsd.backends.docker.engine import Engine
from uwsd.backends.docker.orders import Orders

GO = "while ! [ -e ../inputs/go ]; do sleep 0.05; done"
ONCE = "echo run >>runs"

jobs = BackendContract()


@pytest.fixture
def root(own_docker: DockerEngine, tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "jobs"
    root.mkdir()
    yield root
    own_docker.restart()
    backend = own_docker.backend(root)
    for workspace in root.iterdir():
        if not workspace.name.startswith("."):
            backend.release(Handle(workspace.name))


def running(backend: DockerBackend, script: str, **more: object) -> Handle:
    """Return a job that runs."""
    handle = backend.submit(shell(script, **more))
    jobs.wait_for(lambda: backend.poll([handle])[handle].state is State.RUNNING)
    return handle


def in_a_process_that_dies(what: Callable[[], object]) -> None:
    """Do something in a process of its own, which is expected not to come to its end."""
    process = multiprocessing.get_context("fork").Process(target=what)
    process.start()
    process.join(30)
    assert process.exitcode == 9


def runs(root: Path, handle: Handle) -> str:
    return (root / handle / "outputs/runs").read_text()


# uwsd dies


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_start_that_was_cut_short_is_done_once(
    own_docker: DockerEngine, root: Path, moment: str
) -> None:
    once = shell(ONCE)
    start = Engine.start

    def die(engine: Engine, container: str) -> None:
        if moment == "after":
            start(engine, container)
        os._exit(9)

    def submit() -> None:
        Engine.start = die  # type: ignore[method-assign,assignment]
        own_docker.backend(root).submit(once)
        time.sleep(30)

    in_a_process_that_dies(submit)
    backend = own_docker.backend(root)
    handle = backend.submit(once)
    assert jobs.wait(backend, handle).state is State.DONE
    assert runs(root, handle) == "run\n"


def test_a_container_that_is_started_twice_runs_once(own_docker: DockerEngine, root: Path) -> None:
    backend = own_docker.backend(root)
    handle = backend.submit(shell(ONCE))
    with own_docker.client() as client:
        jobs.wait_for((root / handle / "outputs/runs").exists)
        (container,) = client.containers(all=True, filters={"label": f"uwsd.job={handle}"})
        client.wait(container["Id"])
        client.start(container["Id"])
        client.wait(container["Id"])
    report = jobs.wait(backend, handle)
    assert (report.state, report.transient) == (State.LOST, True)
    assert "second time" in report.message
    assert runs(root, handle) == "run\n"


@pytest.mark.parametrize(
    ("limits", "outcome", "words"),
    [
        ({}, State.CANCELLED, "cancelled"),
        ({"duration": 1}, State.EXCEEDED, "for 1 s"),
    ],
    ids=["cancel", "duration"],
)
def test_why_a_job_was_ended_survives_the_one_who_ended_it(
    own_docker: DockerEngine, root: Path, limits: dict[str, int], outcome: State, words: str
) -> None:
    handle = running(own_docker.backend(root), "sleep 60", **limits)
    kill = Engine.kill

    def die(engine: Engine, container: str, signal: str) -> None:
        kill(engine, container, signal)
        os._exit(9)

    def stop() -> None:
        Engine.kill = die  # type: ignore[method-assign,assignment]
        backend = own_docker.backend(root)
        if not limits:
            backend.cancel(handle)
        while True:
            backend.poll([handle])
            time.sleep(0.05)

    in_a_process_that_dies(stop)
    report = jobs.wait(own_docker.backend(root), handle)
    assert report.state is outcome
    assert report.exit_code == 143
    assert words in report.message


def test_a_cancel_is_carried_out_although_the_one_who_was_asked_has_died(
    own_docker: DockerEngine, root: Path
) -> None:
    handle = running(own_docker.backend(root), f"trap '' TERM; {BEAT}")
    ask = Orders.ask_to_stop

    def die(orders: Orders, job: str, why: str) -> bool:
        ask(orders, job, why)
        os._exit(9)

    def cancel() -> None:
        Orders.ask_to_stop = die  # type: ignore[method-assign,assignment]
        own_docker.backend(root).cancel(handle)

    in_a_process_that_dies(cancel)
    assert jobs.wait(own_docker.backend(root), handle).state is State.CANCELLED


def test_a_job_that_is_cancelled_while_its_container_is_made_never_runs(
    own_docker: DockerEngine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = own_docker.backend(root)
    once = shell(ONCE)
    create = Engine.create

    def create_and_cancel(*given: Any) -> str:
        made = create(*given)
        backend.cancel(Handle(once.job_id))
        return made

    monkeypatch.setattr(Engine, "create", create_and_cancel)
    handle = backend.submit(once)
    assert jobs.wait(backend, handle).state is State.CANCELLED
    assert not (root / handle / "outputs/runs").exists()


# Somebody else is at work on the engine


def test_a_job_whose_container_was_removed_is_lost_at_the_second_look(
    own_docker: DockerEngine, root: Path
) -> None:
    backend = own_docker.backend(root)
    handle = running(backend, BEAT)
    with own_docker.client() as client:
        client.remove_container(backend.poll([handle])[handle].facts["container"], force=True)
    assert backend.poll([handle])[handle].state is State.UNKNOWN
    report = jobs.wait(backend, handle)
    assert (report.state, report.transient) == (State.LOST, True)
    assert "removed" in report.message


def test_the_same_container_runs_on_when_an_order_was_given_again(
    own_docker: DockerEngine, root: Path
) -> None:
    """The answer to a submission was lost, and so was everything in memory."""
    once = shell(f"{ONCE}; {GO}")
    handle = own_docker.backend(root).submit(once)
    jobs.wait_for((root / handle / "outputs/runs").exists)
    backend = own_docker.backend(root)
    assert backend.find(once.job_id) == backend.submit(once) == handle
    (root / handle / "inputs/go").touch()
    assert jobs.wait(backend, handle).state is State.DONE
    assert runs(root, handle) == "run\n"


# The engine dies


def test_jobs_wait_for_an_engine_that_is_down(own_docker: DockerEngine, root: Path) -> None:
    own_docker.kill()
    backend = own_docker.backend(root)
    handle = backend.submit(shell(ONCE))
    for ask in (lambda: backend.poll([handle]), backend.check):
        with pytest.raises(Unreachable, match=r"the engine at unix://.* does not answer: \w+"):
            ask()
    backend.cancel(cancelled := backend.submit(shell(ONCE)))
    with pytest.raises(Unreachable):
        backend.release(cancelled)
    own_docker.restart()
    assert backend.check() is None
    assert jobs.wait(backend, handle).state is State.DONE
    assert jobs.wait(backend, cancelled).state is State.CANCELLED
    assert runs(root, handle) == "run\n"
    assert not (root / cancelled / "outputs/runs").exists()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_what_an_engine_has_ended_may_be_tried_again_and_the_rest_is_told_truly(
    own_docker: DockerEngine, root: Path, how: str
) -> None:
    backend = own_docker.backend(root, slots=4)
    long = [running(backend, BEAT), running(backend, f"trap '' TERM; {BEAT}")]
    ends = running(backend, f"{ONCE}; {GO}; exit 5")
    cancelled = running(backend, f"trap '' TERM; {BEAT}")
    waits = backend.submit(shell(ONCE))
    assert backend.poll([waits])[waits].state is State.WAITING
    backend.cancel(cancelled)
    (root / ends / "inputs/go").touch()
    with own_docker.client() as client:
        jobs.wait_for(lambda: len(client.containers()) < 4)
    getattr(own_docker, how)()
    with pytest.raises(Unreachable):
        backend.poll(long)
    own_docker.restart()
    reports = jobs.wait_all(backend, [*long, ends, cancelled, waits])
    assert {reports[job].state for job in long} == {State.FAILED}
    assert all(reports[job].transient for job in long)
    assert "engine" in reports[long[0]].message
    assert (reports[ends].state, reports[ends].exit_code) == (State.FAILED, 5)
    assert not reports[ends].transient
    assert reports[cancelled].state is State.CANCELLED
    assert reports[waits].state is State.DONE
    assert (runs(root, ends), runs(root, waits)) == ("run\n", "run\n")


def test_an_engine_that_was_restarted_while_nobody_looked_is_seen_by_the_next_instance(
    own_docker: DockerEngine, root: Path
) -> None:
    handle = running(own_docker.backend(root), BEAT)
    own_docker.kill()
    own_docker.restart()
    report = jobs.wait(own_docker.backend(root), handle)
    assert (report.state, report.transient) == (State.FAILED, True)


def test_jobs_outlive_an_engine_that_restores_them(tmp_path: Path) -> None:
    with own_engine("--live-restore") as engine:
        root = tmp_path / "jobs"
        backend = engine.backend(root)
        goes_on = running(backend, f"{ONCE}; {GO}; exit 5")
        ends = running(backend, f"{ONCE}; {GO}; exit 6")
        engine.kill()
        (root / ends / "inputs/go").touch()
        jobs.wait_for((root / ends / "outputs/runs").exists)
        engine.restart()
        assert backend.poll([goes_on])[goes_on].state is State.RUNNING
        (root / goes_on / "inputs/go").touch()
        reports = jobs.wait_all(backend, [goes_on, ends])
        assert [reports[job].exit_code for job in (goes_on, ends)] == [5, 6]
        assert (runs(root, goes_on), runs(root, ends)) == ("run\n", "run\n")


def test_jobs_outlive_containerd_and_others_are_started_when_it_is_back(
    own_docker: DockerEngine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own_docker.daemons
    monkeypatch.setattr(rounds, "_VISIT", 1.0)  # the engine may miss what ends just then
    backend = own_docker.backend(root)
    goes_on = running(backend, f"{ONCE}; {GO}; exit 5")
    own_docker.daemons.kill("containerd")
    late = backend.submit(shell(ONCE))
    jobs.wait_for(lambda: "could not be started yet" in backend.poll([late])[late].message)
    own_docker.restart()
    (root / goes_on / "inputs/go").touch()
    reports = jobs.wait_all(backend, [goes_on, late])
    assert (reports[goes_on].state, reports[goes_on].exit_code) == (State.FAILED, 5)
    assert reports[late].state is State.DONE
    assert (runs(root, goes_on), runs(root, late)) == ("run\n", "run\n")


def test_a_job_whose_end_the_engine_has_missed_is_seen_to_end(
    own_docker: DockerEngine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without this, the engine says for ever that such a container runs."""
    assert own_docker.daemons
    monkeypatch.setattr(rounds, "_VISIT", 1.0)
    backend = own_docker.backend(root)
    handle = running(backend, f"{ONCE}; {GO}; exit 5")
    own_docker.daemons.kill("containerd")
    (root / handle / "inputs/go").touch()
    time.sleep(16)  # then containerd's shim has given up to tell of it
    own_docker.restart()
    with own_docker.client() as client:
        assert client.containers(filters={"label": f"uwsd.job={handle}"})
    report = jobs.wait(backend, handle)
    assert (report.state, report.exit_code) == (State.FAILED, 5)


def test_an_engine_that_hangs_is_taken_for_dead(own_docker: DockerEngine, root: Path) -> None:
    backend = own_docker.backend(root, timeout=0.5)
    handle = running(backend, GO)
    assert own_docker.daemons
    with own_docker.daemons.frozen("dockerd"), pytest.raises(Unreachable, match="timed out"):
        backend.poll([handle])
    (root / handle / "inputs/go").touch()
    assert jobs.wait(backend, handle).state is State.DONE


# News


def test_the_supervisor_is_woken_by_events_also_after_the_engine_was_away(
    own_docker: DockerEngine, root: Path
) -> None:
    backend = own_docker.backend(root)
    wakes_up(backend, within=0)  # it follows the events from now on
    for _ in range(2):
        handle = running(backend, GO)
        backend.poll([handle])
        jobs.wait_for(lambda: not wakes_up(backend, within=0.3))
        (root / handle / "inputs/go").touch()
        assert wakes_up(backend)
        assert jobs.wait(backend, handle).state is State.DONE
        own_docker.kill()
        own_docker.restart()


def test_the_supervisor_is_woken_when_a_job_has_had_its_time(
    own_docker: DockerEngine, root: Path
) -> None:
    backend = own_docker.backend(root, grace=0.5)
    handle = running(backend, f"trap '' TERM; {BEAT}", duration=2)
    began = time.monotonic()
    while not backend.poll([handle])[handle].state.is_over:
        assert wakes_up(backend), "it would sleep for ever"
    assert time.monotonic() - began < 5


def wakes_up(backend: DockerBackend, within: float = 30) -> bool:
    """Sleep as the supervisor does; say whether something woke it."""
    poll = select.poll()
    for descriptor in backend.wakeups():
        poll.register(descriptor, select.POLLIN)
    woken = bool(poll.poll(within * 1000))
    backend.poll([])
    return woken
