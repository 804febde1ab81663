"""What is killed, lost and forgotten on a cluster, and what becomes of jobs."""

import os
import shutil
import signal
import time
from contextlib import suppress

import pytest

from tests.backends.contract import BEAT, shell, task
from tests.backends.slurm.site import GO, Site
from tests.engines.daemons import wait_until
from uwsd.backends.base import BackendError, Handle, State, Unreachable


def test_a_job_outlives_its_controller_and_its_end_is_told_truly(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(shell(f"{GO}; exit 3"))
    private.until(backend, handle, State.RUNNING)
    with private.without("slurmctld"):
        private.go(handle)
        private.wait_for("run/exit.json", handle)
        with pytest.raises(Unreachable, match="Unable to contact slurm controller"):
            while True:  # what was asked last is good for a moment
                backend.poll([handle])
        assert "DOWN" in (private.backend().check() or "")
        late = shell("echo run >>runs")
        with pytest.raises(Unreachable):
            backend.submit(late)
    report = private.wait(backend, handle)
    assert (report.state, report.exit_code) == (State.FAILED, 3)
    assert report.started
    assert report.ended
    assert (report.ended - report.started).total_seconds() < 30
    assert backend.submit(late) == late.job_id
    assert private.wait(backend, Handle(late.job_id)).state is State.DONE
    assert private.output(Handle(late.job_id), "outputs/runs") == "run\n"


def test_a_release_that_the_controller_forgot_is_repeated(private: Site) -> None:
    backend = private.backend(extra=("--begin=now+2",))
    handle = backend.submit(task("true"))
    # What a controller has on disk that is killed before it has written the release down.
    began = time.time()
    private.engine.run("scontrol", "uhold", private.id(handle))
    state = private.engine.folder / "state/job_state"
    wait_until(lambda: state.stat().st_mtime > began, 20, "it is not written down")
    with private.without("slurmctld"):
        pass
    assert private.wait(backend, handle).state is State.DONE


def test_a_cancellation_that_no_controller_hears_comes_true(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(shell(BEAT))
    beat = private.wait_for("outputs/beat", handle)
    with private.without("slurmctld"):
        with pytest.raises(Unreachable):
            backend.cancel(handle)
        # Its worker looks for itself, every ten seconds.
        private.wait_for("run/exit.json", handle)
        private.assert_still(beat)
    assert private.wait(backend, handle).state is State.CANCELLED


@pytest.mark.parametrize("daemon", ["slurmdbd", "munged"])
def test_jobs_get_on_without(private: Site, daemon: str) -> None:
    backend = private.backend()
    running = backend.submit(shell(f"{GO}; exit 3"))
    private.until(backend, running, State.RUNNING)
    with private.without(daemon):
        private.go(running)
        private.wait_for("run/exit.json", running)
        another = task("true")
        with suppress(Unreachable):
            backend.submit(another)
    handle = backend.submit(another)
    assert private.wait(backend, handle).state is State.DONE
    report = private.wait(backend, running)
    assert (report.state, report.exit_code) == (State.FAILED, 3)


@pytest.mark.timeout(180)
def test_a_node_that_is_lost_takes_its_job_with_it(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(shell(BEAT))
    private.wait_for("run/start.json", handle)
    node = private.until(backend, handle, State.RUNNING).facts["host"]
    with private.without(f"slurmd.{node}"):
        private.engine.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        report = private.wait(backend, handle)
        assert (report.state, report.transient) == (State.FAILED, True)
        assert report.message == "its node failed"
        backend.release(handle)
    private.engine.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
    wait_until(private.engine.is_up, 60, f"{node} is not back")


def test_a_worker_that_is_killed_is_told_of(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(shell(BEAT))
    beat = private.wait_for("outputs/beat", handle)
    start = backend._job(handle).start()
    assert start is not None
    os.kill(start.worker.pid, signal.SIGKILL)
    report = private.until(backend, handle, State.RUNNING, "its record is awaited")
    private.assert_still(beat)
    assert report.started
    job = backend._follower.get(handle)
    assert job is not None
    job._over = time.monotonic() - 61  # as if the minute that records have were over
    report = private.wait(backend, handle)
    assert (report.state, report.transient) == (State.FAILED, True)
    assert report.message == "its worker was killed by SIGKILL"


def test_what_slurm_has_forgotten_is_known_from_the_record(bookless: Site) -> None:
    backend = bookless.backend()
    handle = backend.submit(shell("exit 3"))
    bookless.wait_for("run/exit.json", handle)
    _forget(bookless, handle)
    report = bookless.backend().poll([handle])[handle]
    assert (report.state, report.exit_code) == (State.FAILED, 3)


def test_what_slurm_has_forgotten_without_a_record_is_lost_after_a_while(bookless: Site) -> None:
    backend = bookless.backend()
    handle = backend.submit(task("true"))
    bookless.wait_for("run/exit.json", handle).unlink()
    _forget(bookless, handle)
    later = bookless.backend()
    assert later.poll([handle])[handle].state is State.RUNNING
    assert later.poll([handle])[handle].message == "Slurm does not list it any more"
    report = bookless.wait(later, handle)
    assert (report.state, report.transient) == (State.LOST, True)


def test_what_slurm_has_forgotten_without_a_record_is_known_from_the_accounts(
    private: Site,
) -> None:
    private.engine.configure("MinJobAge=300", "MinJobAge=2")
    backend = private.backend()
    handle = backend.submit(task("true"))
    private.wait_for("run/exit.json", handle).unlink()
    _forget(private, handle)
    private.engine.configure("MinJobAge=2", "MinJobAge=300")
    later = private.backend()
    later.poll([handle])
    job = later._follower.get(handle)
    assert job is not None
    assert job.is_open
    job._over = time.monotonic() - 61
    report = private.wait(later, handle)
    assert report.state is State.FAILED
    assert report.message.startswith("it left no record")


def test_a_job_that_waits_and_is_forgotten_never_starts(bookless: Site) -> None:
    backend = bookless.backend(extra=("--begin=now+1hour",))
    handle = backend.submit(task("true"))
    job = backend._job(handle)
    note = job.note()
    assert note is not None
    job.write_note(note._replace(key="uwsd-another-name"))
    later = bookless.backend()
    assert bookless.wait(later, handle).state is State.LOST
    assert not job.claim(job.start().worker._replace(pid=1))  # type: ignore[union-attr]
    bookless.engine.run("scancel", note.id)


def test_a_cluster_that_has_lost_its_memory_loses_jobs_and_takes_new_ones(bookless: Site) -> None:
    engine = bookless.engine
    backend = bookless.backend()
    running, ended = backend.submit(shell(BEAT)), backend.submit(shell("exit 3"))
    waiting = bookless.backend(extra=("--begin=now+1hour",)).submit(task("true"))
    bookless.wait_for("outputs/beat", running)
    bookless.wait_for("run/exit.json", ended)
    with bookless.without("slurmctld"):
        shutil.rmtree(engine.folder / "state")
        (engine.folder / "state").mkdir()
    wait_until(engine.is_up, 60, "the nodes do not come back")
    new = [backend.submit(task("true")) for _ in range(4)]
    numbers = {bookless.id(handle) for handle in (running, ended, waiting)}
    assert numbers & {bookless.id(handle) for handle in new}, "no number was given away again"
    for handle in new:
        assert bookless.wait(backend, handle).state is State.DONE
    report = bookless.wait(backend, ended)
    assert (report.state, report.exit_code) == (State.FAILED, 3)
    assert bookless.wait(backend, waiting).state is State.LOST
    report = bookless.wait(backend, running)
    assert report.state in (State.LOST, State.FAILED)
    assert report.transient


def test_what_a_job_puts_in_the_place_of_its_records_harms_nobody(site: Site) -> None:
    backend = site.backend()
    script = (
        f"cd ..; {BEAT.replace('sleep', ':; sleep')} & "
        "until [ -e run/start.json ]; do :; done; rm -f run/exit.json run/start.json;"
        "mkfifo run/exit.json; ln -s /etc/shadow run/start.json; sleep 60"
    )
    handle, other = backend.submit(shell(script)), backend.submit(task("true"))
    wait_until((site.root / handle / "run/exit.json").is_fifo, 60, "no pipe")
    assert site.wait(backend, other).state is State.DONE
    site.until(site.backend(), handle, State.UNKNOWN, "cannot be read")
    with suppress(BackendError):
        backend.release(handle)
    site.engine.run("scancel", site.id(handle)) if (site.root / handle / "run").exists() else None


@pytest.mark.skipif(not os.environ.get("UWSD_SLOW"), reason="takes two minutes: UWSD_SLOW=1")
@pytest.mark.timeout(240)
def test_slurms_own_limit_on_time_is_the_last_resort(private: Site) -> None:
    backend = private.backend(extra=("--time=1",))
    handle = backend.submit(shell(f"trap '' TERM; {BEAT}"))
    beat = private.wait_for("outputs/beat", handle)
    wait_until(lambda: private.engine.state(private.id(handle)) == "TIMEOUT", 200, "no end")
    report = private.wait(backend, handle)
    assert (report.state, report.message) == (
        State.EXCEEDED,
        "Slurm stopped it: its time was over",
    )
    private.assert_still(beat)


def _forget(site: Site, handle: Handle) -> None:
    """Wait until Slurm does not know a job any more."""
    id_ = site.id(handle)
    wait_until(lambda: not site.engine.state(id_), 100, f"{id_} is still known")
