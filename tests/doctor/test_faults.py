"""Backends that break one promise each, and what the doctor says of them."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from uwsd.backends.base import Backend, Handle, Report, State, Task, Unreachable
from uwsd.backends.local import LocalBackend
from uwsd.doctor import examination
from uwsd.doctor.examination import Subject, examine
from uwsd.doctor.findings import Mark
from uwsd.doctor.probes import PROBES

SLOTS = 8
Change = Callable[[Task], Task]


class Changing(LocalBackend):
    """A backend that runs something else than it is given."""

    def __init__(self, root: Path, name: str, change: Change) -> None:
        super().__init__(root, name=name, slots=SLOTS, grace=0.4)
        self._change = change

    def submit(self, task: Task) -> Handle:
        return super().submit(self._change(task))


class Silent(LocalBackend):
    def submit(self, task: Task) -> Handle:
        raise Unreachable(f"{task.service}: connection refused")


class Ailing(LocalBackend):
    def check(self) -> str | None:
        return "connection refused"


class Busy(LocalBackend):
    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        return dict.fromkeys(handles, Report(state=State.WAITING, message="it is the next"))


class Deaf(LocalBackend):
    def cancel(self, handle: Handle) -> None:
        pass


class Holding(LocalBackend):
    holds = True

    def release(self, handle: Handle) -> None:
        if not Holding.holds:
            super().release(handle)


class Elsewhere(LocalBackend):
    """One that runs its jobs on another disk."""

    def __init__(self, root: Path, *, name: str, slots: int) -> None:
        super().__init__(root / ".elsewhere", name=name, slots=slots)


def script(old: str, new: str) -> Change:
    """Return a change of what a probe does."""

    def change(task: Task) -> Task:
        assert old in task.command[2]
        shell, option, text, *rest = task.command
        return replace(task, command=(shell, option, text.replace(old, new), *rest))

    return change


def wrapped(*words: str) -> Change:
    return lambda task: replace(task, command=(*words, *task.command))


def with_environment(**more: str) -> Change:
    return lambda task: replace(task, environment={**task.environment, **os.environ, **more})


NO_LOGS = ("sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh")


class Fault(NamedTuple):
    """What is wrong with a backend, and what shall be found by which probe."""

    probe: str
    wrong: type[LocalBackend] | Change
    what: str
    mark: Mark
    words: str

    def open(self, name: str, root: Path) -> Backend:
        if isinstance(self.wrong, type):
            backend: LocalBackend = self.wrong(root, name=name, slots=SLOTS)
            return backend
        return Changing(root, name, self.wrong)


FAULTS = [
    Fault("run", Ailing, "answer", Mark.BROKEN, "connection refused"),
    Fault("run", Silent, "hand-over", Mark.BROKEN, "connection refused"),
    Fault("run", Busy, "turn", Mark.WARNING, "still waits after 5 s: it is the next"),
    Fault("run", wrapped("false"), "run", Mark.BROKEN, "FAILED with exit status 1"),
    Fault("run", lambda task: replace(task, files={}), "workspace", Mark.BROKEN, "inputs/"),
    Fault("run", script(">nonce", ">/nowhere/nonce"), "workspace", Mark.BROKEN, "cannot write"),
    Fault("run", Elsewhere, "workspace", Mark.BROKEN, "does not come here"),
    Fault("run", wrapped(*NO_LOGS), "logs", Mark.BROKEN, "does not arrive"),
    Fault("run", with_environment(), "environment", Mark.BROKEN, "environment of the server"),
    Fault("run", wrapped("env", "LC_ALL=de_DE"), "environment", Mark.BROKEN, "LC_ALL"),
    Fault(
        "run", wrapped("env", "HOSTNAME=x"), "environment", Mark.GOOD, "the engine adds HOSTNAME"
    ),
    Fault("run", script("+%s", "+%s -d -1hour"), "clock", Mark.BROKEN, "s behind"),
    Fault("run", script("+%s", "+%s -d +9sec"), "clock", Mark.WARNING, "s before"),
    Fault("run", script("exit 0", "touch -d +9sec nonce"), "file-times", Mark.WARNING, "s before"),
    Fault("run", script("id -u", "echo 1234"), "account", Mark.GOOD, "1234"),
    Fault("run", script("id -u", "echo 0"), "account", Mark.WARNING, "root"),
    Fault("run", wrapped("unshare", "-rn"), "network", Mark.GOOD, "has none"),
    Fault("run", lambda task: task, "network", Mark.WARNING, "reaches"),
    Fault("run", script("command -v bash", "false"), "network", Mark.WARNING, "reaches"),
    Fault(
        "time-limit", lambda task: replace(task, duration=0), "time-limit", Mark.BROKEN, "RUNNING"
    ),
    Fault("time-limit", script("60", "0.1"), "time-limit", Mark.BROKEN, "DONE"),
    Fault(
        "memory-limit",
        lambda task: replace(task, memory=0),
        "memory-limit",
        Mark.BROKEN,
        "no limit",
    ),
    Fault("memory-limit", script("head", "exit 1; head"), "memory-limit", Mark.WARNING, "each of"),
    Fault("cancel", Deaf, "cancel", Mark.BROKEN, "still RUNNING"),
    Fault("run", Holding, "release", Mark.BROKEN, "the engine still has it"),
]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    Holding.holds = True
    root = tmp_path / "jobs"
    root.mkdir()
    yield root
    assert [path.name for path in root.iterdir()] in ([], [".elsewhere"])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.what}: {fault.words}")
def test_a_broken_promise_is_told_with_its_fix(
    root: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(examination, "_RELEASED_WITHIN", 2)
    subject = Subject(name="ill", type="local", open=fault.open)
    probes = [probe for probe in PROBES if probe.name == fault.probe]
    # Only what never ends is waited for; to use up memory takes a busy machine its time.
    patience = 60 if fault.probe == "memory-limit" else 5
    found = {one.what: one for one in examine(subject, root, patience=patience, probes=probes)}
    assert {one.place for one in found.values()} == {"ill"}
    assert found[fault.what].mark is fault.mark, found
    assert fault.words in found[fault.what].found
    assert bool(found[fault.what].fix) is (fault.mark is not Mark.GOOD)
    assert "{" not in found[fault.what].fix


def test_an_engine_that_does_not_see_the_files_is_not_waited_for(root: Path) -> None:
    fault = Fault("run", Elsewhere, "workspace", Mark.BROKEN, "")
    subject = Subject(name="ill", type="local", open=fault.open)
    found = {one.what for one in examine(subject, root, patience=60)}
    assert found >= {"workspace", "release"}
    assert "cancel" not in found
