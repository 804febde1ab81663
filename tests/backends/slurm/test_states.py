"""What happens to jobs on a cluster, and what is said of it."""

import select
import time

import pytest

from tests.backends.contract import BEAT, shell, task
from tests.backends.slurm.site import GO, Site
from tests.engines.daemons import wait_until
from tests.engines.slurm import Slurm
from tests.needs import has_patience
from uwsd.backends.base import Handle, Report, State
from uwsd.backends.slurm import tracked
from uwsd.backends.slurm.cluster import Cluster
from uwsd.backends.slurm.commands import Commands
from uwsd.backends.slurm.options import Options

pytestmark = has_patience

LATER = ("--begin=now+1hour",)


@pytest.fixture(scope="module")
def ranks(slurm_engine: Slurm) -> None:
    """Two qualities of service, of which one goes first, and one that gives a minute."""
    if slurm_engine.daemons is None:
        pytest.skip("the cluster is somebody else's: nothing of it is set")
    for line in (
        "add qos low",
        "add qos high preempt=low",
        "add qos brief",
        "modify qos brief set MaxWall=1",
        "modify user root set qos+=low,high,brief",
    ):
        slurm_engine.run("sacctmgr", "-i", *line.split())


# Waiting


def test_a_job_that_waits_says_why_and_when_it_may_start(site: Site) -> None:
    backend = site.backend(extra=LATER)
    handle = backend.submit(task("true"))
    report = site.until(backend, handle, State.WAITING, "BeginTime")
    assert report.message.startswith("it waits for the time that it may begin at (BeginTime); ")
    assert "it may start at 20" in report.message
    assert report.message.endswith("0 UTC")


def test_a_job_that_waits_for_others_says_so(private: Site) -> None:
    backend = private.backend()
    first, *others = [backend.submit(shell(GO, cpus=8)) for _ in range(4)]
    for handle in others[1:]:
        message = private.until(backend, handle, State.WAITING, "it waits for").message
        assert message.startswith(
            ("it waits for free nodes (Resources)", "it waits for jobs that go first (Priority)")
        )
    for handle in (first, *others):
        private.go(handle)
        private.wait(backend, handle)


def test_a_job_that_somebody_holds_is_held_until_it_is_let_go(
    private: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracked, "_KEPT", 0.5)
    backend = private.backend(extra=LATER)
    handle = backend.submit(task("true"))
    job = backend._job(handle)

    def is_settled() -> bool:
        backend.poll([handle])
        note = job.note()
        return note is not None and note.settled

    wait_until(is_settled, 20, "it does not settle")
    for verb, reason in (("hold", "JobHeldAdmin"), ("uhold", "JobHeldUser")):
        private.engine.run("scontrol", verb, private.id(handle))
        assert reason in private.until(backend, handle, State.HELD).message
        time.sleep(0.5)
        assert private.until(backend, handle, State.HELD).message
        private.engine.run("scontrol", "release", private.id(handle))
        private.until(backend, handle, State.WAITING)
    private.engine.run("scontrol", "update", f"JobId={private.id(handle)}", "StartTime=now")
    assert private.wait(backend, handle).state is State.DONE


@pytest.mark.usefixtures("ranks")
@pytest.mark.parametrize(
    ("options", "wants", "reason"),
    [
        ({"qos": "brief"}, {"duration": 600}, "(QOSMaxWallDurationPerJobLimit)"),
        ({}, {"memory": 10**15}, "no node has what it needs (BadConstraints)"),
        ({}, {"gpus": 99}, "no node has what it needs (BadConstraints)"),
    ],
    ids=str,
)
def test_a_job_that_can_never_start_fails_with_the_reason(
    private: Site, options: dict[str, object], wants: dict[str, object], reason: str
) -> None:
    backend = private.backend(**options)
    handle = backend.submit(shell("true", **wants))
    report = private.wait(backend, handle)
    assert (report.state, report.transient, report.started) == (State.FAILED, False, None)
    assert report.message.startswith("it can never start: ")
    assert report.message.endswith(reason)
    wait_until(lambda: private.engine.state(private.id(handle)) == "CANCELLED", 20, "it is there")
    assert private.backend().poll([handle])[handle] == report


# Running


def test_a_job_that_is_suspended_says_so_and_goes_on(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(shell(GO))
    private.until(backend, handle, State.RUNNING)
    private.engine.run("scontrol", "suspend", private.id(handle))
    private.until(backend, handle, State.SUSPENDED)
    private.engine.run("scontrol", "resume", private.id(handle))
    private.until(backend, handle, State.RUNNING)
    private.go(handle)
    assert private.wait(backend, handle).state is State.DONE


def test_a_job_that_is_suspended_can_be_cancelled(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(shell(BEAT))
    beat = private.wait_for("outputs/beat", handle)
    private.engine.run("scontrol", "suspend", private.id(handle))
    private.until(backend, handle, State.SUSPENDED)
    backend.cancel(handle)
    assert private.wait(backend, handle).state is State.CANCELLED
    private.assert_still(beat)


def test_a_job_that_runs_tells_where(site: Site) -> None:
    backend = site.backend()
    handle = backend.submit(shell(GO))
    site.wait_for("run/start.json", handle)
    report = site.until(backend, handle, State.RUNNING)
    assert report.facts.keys() == {"host", "slurm", "partition"}
    assert report.facts["slurm"] == site.id(handle)
    site.go(handle)
    assert site.wait(backend, handle).facts == report.facts


def test_the_end_of_a_job_is_known_before_slurm_is_asked_again(site: Site) -> None:
    backend = site.backend(poll=3600)
    handle = backend.submit(shell(GO))
    site.wait_for("run/start.json", handle)
    site.until(backend, handle, State.RUNNING)
    (descriptor,) = backend.wakeups()
    assert not select.select([descriptor], [], [], 1)[0]
    site.go(handle)
    began = time.monotonic()
    assert select.select([descriptor], [], [], 30)[0]
    assert backend.poll([handle])[handle].state is State.DONE
    print(f"known {time.monotonic() - began:.2f} s after it was let go")
    backend.poll([handle])
    assert not select.select([descriptor], [], [], 1)[0]


def test_a_job_gets_more_time_and_slurm_is_told(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(shell("sleep 3", duration=2))
    backend.amend(handle, 1000)
    shown = private.engine.run("scontrol", "show", "-o", "job", private.id(handle))
    assert "TimeLimit=00:18:00" in shown
    assert private.wait(backend, handle).state is State.DONE


def test_a_job_gets_less_time_though_nobody_can_signal_its_worker(site: Site) -> None:
    backend = site.backend()
    handle = backend.submit(shell(BEAT, duration=600))
    site.wait_for("outputs/beat", handle)
    backend.amend(handle, 1)
    report = site.wait(backend, handle)
    assert (report.state, "1 s" in report.message) == (State.EXCEEDED, True)
    assert report.started
    assert report.ended
    assert (report.ended - report.started).total_seconds() < 15


# Ended by others


@pytest.mark.parametrize("script", [BEAT, f"trap '' TERM; {BEAT}", f"trap 'exit 0' TERM; {BEAT}"])
def test_a_job_that_somebody_else_cancels_says_so(site: Site, script: str) -> None:
    backend = site.backend()
    handle = backend.submit(shell(script))
    beat = site.wait_for("outputs/beat", handle)
    site.engine.run("scancel", site.id(handle))
    report = site.wait(backend, handle)
    assert (report.state, report.message) == (
        State.CANCELLED,
        "somebody cancelled it on the cluster",
    )
    site.assert_still(beat)


def test_a_waiting_job_that_somebody_else_cancels_says_so(site: Site) -> None:
    backend = site.backend(extra=LATER)
    handle = backend.submit(task("true"))
    site.engine.run("scancel", site.id(handle))
    report = site.wait(backend, handle)
    assert (report.state, report.started) == (State.CANCELLED, None)
    assert report.message == "somebody cancelled it on the cluster"


def test_a_child_that_used_too_much_memory_is_not_passed_over(private: Site) -> None:
    backend = private.backend()
    hog = "head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null; exit 0"
    report = private.wait(backend, backend.submit(shell(hog, memory=100_000_000)))
    assert report.state is State.EXCEEDED
    assert "memory" in report.message


@pytest.mark.usefixtures("ranks")
def test_a_preempted_job_has_failed_and_might_be_tried_again(private: Site) -> None:
    low, high = private.backend(qos="low"), private.backend(qos="high")
    first = [low.submit(shell(BEAT, cpus=8)) for _ in range(2)]
    for handle in first:
        private.wait_for("outputs/beat", handle)
    winner = high.submit(shell(GO, cpus=8))
    private.until(high, winner, State.RUNNING)
    reports: dict[Handle, Report] = {}

    def one_is_over() -> bool:
        reports.update(low.poll(first))
        return any(report.state.is_over for report in reports.values())

    wait_until(one_is_over, 60, "nothing was preempted")
    (report,) = [report for report in reports.values() if report.state.is_over]
    assert (report.state, report.transient) == (State.FAILED, True)
    assert report.message == "Slurm stopped it in favour of a job that goes first"
    private.go(winner)
    assert private.wait(high, winner).state is State.DONE


@pytest.mark.usefixtures("ranks")
def test_a_job_that_slurm_puts_back_waits_again_and_begins_with_nothing(private: Site) -> None:
    backend = private.backend(requeue=True)
    script = f"echo run >>runs; echo out; {GO}; sleep 0.2"
    handle = backend.submit(shell(script))
    private.wait_for("outputs/runs", handle)
    private.until(backend, handle, State.RUNNING)
    private.engine.run("scontrol", "requeuehold", private.id(handle))
    assert private.until(backend, handle, State.HELD).state is State.HELD
    private.engine.run("scontrol", "release", private.id(handle))
    private.until(backend, handle, State.WAITING)
    # Slurm waits for two minutes; a node takes nothing of a job within a second of its end.
    private.engine.run("scontrol", "update", f"JobId={private.id(handle)}", "StartTime=now+3")
    private.until(backend, handle, State.RUNNING)
    private.go(handle)
    report = private.wait(backend, handle)
    assert (report.state, report.exit_code) == (State.DONE, 0)
    assert private.output(handle, "outputs/runs") == "run\n"
    assert private.output(handle, "run/before-1/outputs/runs") == "run\n"


def test_a_job_that_was_put_back_can_be_cancelled(private: Site) -> None:
    backend = private.backend(requeue=True)
    handle = backend.submit(shell(BEAT))
    beat = private.wait_for("outputs/beat", handle)
    private.until(backend, handle, State.RUNNING)
    private.engine.run("scontrol", "requeuehold", private.id(handle))
    private.until(backend, handle, State.HELD)
    backend.cancel(handle)
    assert private.wait(backend, handle).state is State.CANCELLED
    private.assert_still(beat)


# Nodes that cannot start it


def test_a_node_that_does_not_see_the_folder_is_named(private: Site) -> None:
    backend = private.backend(extra=LATER)
    handle = backend.submit(task("true"))
    workspace, elsewhere = private.root / handle, private.root / ".elsewhere"
    id_ = private.id(handle)
    workspace.rename(elsewhere)
    private.engine.run("scontrol", "update", f"JobId={id_}", "StartTime=now")
    wait_until(lambda: private.engine.state(id_) == "FAILED", 30, "it did not start")
    elsewhere.rename(workspace)
    report = private.wait(backend, handle)
    assert (report.state, report.transient) == (State.FAILED, True)
    assert report.message in [
        f"its node {node} does not see the folder of the job" for node in private.engine.nodes
    ]


def test_a_node_without_python_is_named(site: Site) -> None:
    backend = site.backend(python="/no/such/python")
    report = site.wait(backend, backend.submit(task("true")))
    assert report.state is State.FAILED
    assert report.message.startswith("its node ")
    assert " has no Python where it is looked for: " in report.message
    assert "/no/such/python" in report.message


# Others on the cluster


def test_jobs_of_others_are_left_alone_even_under_the_number_of_ours(private: Site) -> None:
    stranger = private.engine.run(
        "sbatch", "--parsable", "-o", "/dev/null", "--job-name=uwsd-00000000-x", "--wrap=sleep 60"
    ).strip()
    wait_until(lambda: private.engine.state(stranger) == "RUNNING", 30, "it does not run")
    backend = private.backend()
    handle = backend.submit(shell(BEAT))
    beat = private.wait_for("outputs/beat", handle)
    job = backend._job(handle)
    note = job.note()
    assert note is not None
    # As if the cluster had begun to count anew: the number means another job by now.
    job.write_note(note._replace(id=stranger))
    confused = private.backend()
    report = private.until(confused, handle, State.RUNNING, "does not list it")
    assert report.facts["slurm"] == note.id
    confused.cancel(handle)
    assert private.engine.state(stranger) == "RUNNING"
    job.write_note(note)
    private.wait(private.backend(), handle)
    private.assert_still(beat)
    private.backend().release(handle)
    assert private.engine.state(stranger) == "RUNNING"
    private.engine.run("scancel", stranger)


def test_the_cluster_tells_of_its_settings(site: Site) -> None:
    options = Options(**{k: v for k, v in site.engine.options.items() if k != "type"})  # type: ignore[arg-type]
    settings = Cluster(Commands(options), options).settings()
    assert settings["MinJobAge"].split()[0].isdigit()
