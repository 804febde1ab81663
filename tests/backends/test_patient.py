"""An engine that does not answer is left alone for a while, and found again."""

import itertools
import select
import threading
import time
from collections.abc import Collection, Mapping

import pytest

from uwsd.backends.base import Backend, BackendError, Handle, Report, State, Task, Unreachable
from uwsd.backends.patient import Patient

JOB = Handle("job")


class Engine(Backend):
    """An engine that can be switched off, and counts how often it is asked."""

    def __init__(self) -> None:
        self.error: BackendError | None = None
        self.asked = 0
        self.lets_go = threading.Event()
        self.lets_go.set()

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        self._answer()
        return dict.fromkeys(handles, Report(state=State.RUNNING))

    def submit(self, task: Task) -> Handle:
        self._answer()
        return Handle(task.job_id)

    def cancel(self, handle: Handle) -> None:
        self._answer()

    def release(self, handle: Handle) -> None:
        self._answer()

    def find(self, job_id: str) -> Handle | None:
        self._answer()
        return None

    def _answer(self) -> None:
        self.asked += 1
        assert self.lets_go.wait(60)
        if self.error:
            raise self.error


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patient(engine: Engine, clock: Clock) -> Patient:
    return Patient(engine, clock=clock)


def test_one_silence_is_not_asked_for_by_every_job(engine: Engine, patient: Patient) -> None:
    engine.error = Unreachable("connection refused")
    for _ in range(200):
        with pytest.raises(Unreachable, match="connection refused"):
            patient.submit(Task(job_id="x", command=("true",)))
    assert engine.asked == 1
    assert patient.check() == "connection refused"


def test_it_is_asked_again_soon_and_then_more_rarely(
    engine: Engine, patient: Patient, clock: Clock
) -> None:
    engine.error = Unreachable("no")
    asked_at = []
    for _ in range(1200):
        before = engine.asked
        with pytest.raises(Unreachable):
            patient.cancel(JOB)
        if engine.asked > before:
            asked_at.append(clock.now)
        clock.now += 0.1
    pauses = [after - before for before, after in itertools.pairwise(asked_at)]
    assert pauses[0] == pytest.approx(0.5, abs=0.2)
    assert all(after > before - 0.2 for before, after in itertools.pairwise(pauses))
    assert max(pauses) == pytest.approx(15, abs=0.2)


def test_an_engine_that_is_back_is_used_at_once(
    engine: Engine, patient: Patient, clock: Clock
) -> None:
    engine.error = Unreachable("no")
    with pytest.raises(Unreachable):
        patient.poll([JOB])
    engine.error = None
    clock.now += 0.6
    assert patient.poll([JOB])[JOB].state is State.RUNNING
    assert patient.check() is None


def test_trouble_with_one_job_is_not_silence(engine: Engine, patient: Patient) -> None:
    engine.error = BackendError("this one is still being stopped")
    for _ in range(3):
        with pytest.raises(BackendError, match="this one"):
            patient.release(JOB)
    assert engine.asked == 3


def test_after_ten_minutes_nobody_can_say_how_the_jobs_are(
    engine: Engine, patient: Patient, clock: Clock
) -> None:
    engine.error = Unreachable("connection refused")
    end = clock.now + 599
    while clock.now < end:
        with pytest.raises(Unreachable):
            patient.poll([JOB])
        clock.now += 5
    clock.now += 20
    report = patient.poll([JOB])[JOB]
    assert report.state is State.UNKNOWN
    assert "connection refused" in report.message
    engine.error = None
    clock.now += 20
    assert patient.poll([JOB])[JOB].state is State.RUNNING


def test_a_slow_engine_keeps_nobody_waiting_and_its_answer_is_used(engine: Engine) -> None:
    patient = Patient(engine, soon=0.05)
    engine.lets_go.clear()
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(Unreachable):
            patient.poll([JOB])
        with pytest.raises(Unreachable):
            patient.submit(Task(job_id="x", command=("true",)))
    assert time.monotonic() - began < 1
    assert patient.check() == "it takes long to answer"
    poller = select.poll()
    for descriptor in patient.wakeups():
        poller.register(descriptor, select.POLLIN)
    assert not poller.poll(0)
    engine.lets_go.set()
    assert poller.poll(10_000)
    assert patient.poll([JOB])[JOB].state is State.RUNNING
    assert engine.asked == 1
    assert patient.check() is None
    assert not poller.poll(0)
    assert patient.submit(Task(job_id="x", command=("true",))) == "x"
