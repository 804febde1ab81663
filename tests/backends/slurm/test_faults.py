"""What is killed, lost and forgotten on a cluster, and what becomes of jobs."""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.backends.contract import BEAT, _is_released, shell, task
from tests.backends.slurm.site import GO, Site
from tests.engines.daemons import wait_until
from tests.needs import has_patience
from uwsd.backends.base import Handle, State, Unreachable
from uwsd.backends.names import key

pytestmark = has_patience


def test_a_job_outlives_its_controller_and_its_end_is_told_truly(private: Site) -> None:
    backend = private.backend(timeout=3)
    handle = backend.submit(shell(f"{GO}; exit 3"))
    private.until(backend, handle, State.RUNNING)
    with private.without("slurmctld"):
        private.go(handle)
        private.wait_for("run/exit.json", handle)
        time.sleep(0.5)  # what was asked last is good for a moment
        with pytest.raises(Unreachable, match=r"Unable to contact slurm controller|did not answer"):
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


def test_what_only_slurm_remembers_is_cancelled(private: Site) -> None:
    backend = private.backend()
    mine, others = key(private.root, "forgotten"), "uwsd-00000000-forgotten"
    ids = {
        name: private.engine.run(
            "sbatch", "--parsable", "--hold", f"--job-name={name}", "--wrap=true"
        ).strip()
        for name in (mine, others)
    }
    assert backend.check() is None
    wait_until(lambda: private.engine.state(ids[mine]) == "CANCELLED", 20, "it is there")
    assert private.engine.state(ids[others]) == "PENDING"
    private.engine.run("scancel", ids[others])


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
    backend = private.backend(timeout=3)
    running = backend.submit(shell(f"{GO}; exit 3"))
    private.until(backend, running, State.RUNNING)
    another = shell("echo run >>runs")
    with private.without(daemon):
        private.go(running)
        private.wait_for("run/exit.json", running)
        with suppress(Unreachable):
            backend.submit(another)
    handle = backend.submit(another)
    assert private.wait(backend, handle).state is State.DONE
    assert private.output(handle, "outputs/runs") == "run\n"
    report = private.wait(backend, running)
    assert (report.state, report.exit_code) == (State.FAILED, 3)


@pytest.mark.timeout(240)
def test_a_node_that_is_lost_loses_its_job_and_what_runs_on_there_ends(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(shell(BEAT))
    beat = private.wait_for("outputs/beat", handle)
    node = private.until(backend, handle, State.RUNNING).facts["host"]
    with private.without(f"slurmd.{node}"):
        wait_until(lambda: private.engine.state(private.id(handle)) == "NODE_FAIL", 120, "no fail")
        report = private.wait(backend, handle)
        assert (report.state, report.transient) == (State.FAILED, True)
        assert report.message == "its node failed"
        size = beat.stat().st_size
        wait_until(lambda: beat.stat().st_size > size, 10, "it did not run on")
        backend.release(handle)
        # Nobody can stop it there but its worker, who sees that the job is not its own any more.
        wait_until(lambda: _is_still(beat), 30, "it still runs on")
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


def test_what_slurm_has_forgotten_is_known_from_the_record_or_lost_after_a_while(
    bookless: Site,
) -> None:
    backend = bookless.backend()
    known, unknown = backend.submit(shell("exit 3")), backend.submit(task("true"))
    bookless.wait_for("run/exit.json", known)
    bookless.wait_for("run/exit.json", unknown).unlink()
    _forget(bookless, known)
    _forget(bookless, unknown)
    later = bookless.backend()
    reports = later.poll([known, unknown])
    assert (reports[known].state, reports[known].exit_code) == (State.FAILED, 3)
    assert reports[unknown].state is State.RUNNING
    assert reports[unknown].message == "Slurm does not list it any more"
    report = bookless.wait(later, unknown)
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
    # This one has never been seen on the cluster by whoever asks later.
    backend._follower.forget(waiting)
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


def test_what_a_killed_controller_has_forgotten_is_handed_over_again(bookless: Site) -> None:
    state = bookless.engine.folder / "state"
    backend = bookless.backend()
    kept, held = shell("echo run >>runs"), shell("echo run >>runs")
    (id_,) = bookless.cut_short(backend, held)
    bookless.wait_until_saved()
    shutil.copytree(state, bookless.root / ".state")
    handles = [backend.submit(job) for job in (kept, held)]
    assert bookless.id(handles[1]) == id_
    with bookless.without("slurmctld"):
        shutil.rmtree(state)
        shutil.copytree(bookless.root / ".state", state)
        for handle in handles:  # as if its node had not been told yet
            shutil.rmtree(bookless.root / handle / "outputs")
            (bookless.root / handle / "outputs").mkdir()
            for record in ("start", "exit", "command"):
                (bookless.root / handle / f"run/{record}.json").unlink(missing_ok=True)
    wait_until(bookless.engine.is_up, 60, "the nodes do not come back")
    for handle in handles:
        assert bookless.wait(backend, handle).state is State.DONE
        assert bookless.output(handle, "outputs/runs") == "run\n"
    assert bookless.id(handles[1]) == id_


def test_what_a_job_puts_in_the_place_of_its_records_harms_nobody(site: Site) -> None:
    backend = site.backend()
    script = (
        "cd ../run; until [ -e start.json ]; do :; done; rm start.json command.json;"
        "mkfifo exit.json command.json; ln -s /etc/shadow start.json; cd ../outputs; " + BEAT
    )
    handle, other = backend.submit(shell(script)), backend.submit(task("true"))
    beat = site.wait_for("outputs/beat", handle)
    assert site.wait(backend, other).state is State.DONE
    site.until(site.backend(), handle, State.RUNNING)
    backend.cancel(handle)
    wait_until(lambda: _is_released(backend, handle), 30, "it is not released")
    site.assert_still(beat)


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "{}",
        '{"why": "nonsense"}',
        '{"why": "exit", "code": 0, "ended": "yesterday"}',
        '{"why": "exit", "code": 0, "ended": 1e300}',
        '{"why": "exit", "more": 1}',
        "[" * 10_000,
    ],
    ids=lambda record: record[:20],
)
def test_a_record_that_is_none_is_as_good_as_none(bookless: Site, record: str) -> None:
    job = bookless.backend()._job("x")
    job.folder.mkdir(parents=True)
    (job.folder / "exit.json").write_text(record)
    (job.folder / "start.json").write_text(record)
    (job.folder / "slurm.json").write_text(record)
    assert (job.exit(), job.start(), job.note()) == (None, None, None)


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


def _is_still(beat: Path) -> bool:
    size = beat.stat().st_size
    time.sleep(1)
    return beat.stat().st_size == size
