"""One backend, tried with the jobs of the table, one after the other; nothing of them is left.

The jobs are in the folder of all jobs, as any other, but under names of their own, and the backend
is opened under such a name, too: neither do they wait for the jobs of a server that is at work
meanwhile, nor do those for them.
"""

import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from uwsd import plugins
from uwsd.backends.base import Backend, BackendError, Handle, Report, State, Task
from uwsd.config.settings import BackendSettings
from uwsd.doctor.findings import Finding, Mark, broken, good, warning
from uwsd.doctor.probes import PROBES, SIGN, Evidence, Probe
from uwsd.doctor.remedies import remedy
from uwsd.uws.job import LOGS
from uwsd.uws.workspace import Workspaces

_SECRET = "UWSD_DOCTOR_SECRET"  # noqa: S105 - the name of a variable
_RELEASED_WITHIN = 20.0  #: seconds
_STILL = 0.5  #: seconds in which whoever still writes would have written

Open = Callable[[str, Path], Backend]
"""Opens a backend under a name, on the folder of the jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The backend that is looked at."""

    name: str
    type: str
    open: Open
    image: str = ""  #: what its services use

    @classmethod
    def configured(cls, name: str, chosen: BackendSettings, image: str) -> "Subject":
        """Return the backend of a table of the configuration."""

        def create(label: str, root: Path) -> Backend:
            module = plugins.load("uwsd.backends", chosen.type)
            backend: Backend = module.create(label, chosen.options, root)
            return backend

        return cls(name=name, type=chosen.type, open=create, image=image)


def examine(
    subject: Subject, root: Path, *, patience: float, probes: Sequence[Probe] = PROBES
) -> Iterator[Finding]:
    """Try everything that a job needs; ``patience``: seconds that each probe may take."""
    label = f"doctor-{secrets.token_hex(4)}"
    os.environ[_SECRET] = label  # no job may see it
    try:
        for finding in _Examination(subject, root, label, patience).findings(probes):
            fix = "" if finding.mark is Mark.GOOD else remedy(subject.type, finding.what)
            fix = fix.format(name=subject.name, root=root)
            yield replace(finding, place=subject.name, fix=fix)
    finally:
        del os.environ[_SECRET]
        for path in root.glob(f"*{label}*"):  # what the backend keeps under its name
            shutil.rmtree(path, ignore_errors=True)


class _TimeIsUp(Exception):
    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


class _Examination:
    def __init__(self, subject: Subject, root: Path, label: str, patience: float) -> None:
        self._subject = subject
        self._workspaces = Workspaces(root)
        self._label = label
        self._patience = patience
        self._left: list[str] = []

    def findings(self, probes: Sequence[Probe]) -> Iterator[Finding]:
        try:
            self._backend = self._subject.open(self._label, self._workspaces.root)
            trouble = self._backend.check()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is wrong
            trouble = _words(error)
        if trouble is not None:
            yield broken("answer", f"the engine does not answer: {trouble}")
            return
        yield good("answer", "the engine answers")
        for probe in probes:
            found = self._try(probe)
            yield from found
            if not probe.vital <= {finding.what for finding in found if finding.mark is Mark.GOOD}:
                break
        if self._left:
            yield broken("release", "; ".join(self._left))
        else:
            yield good("release", "nothing is left of a job that is released")

    def _try(self, probe: Probe) -> list[Finding]:
        job_id = f"{self._label}-{probe.name}"
        try:
            return list(probe.judge(self._evidence(probe, job_id)))
        except _TimeIsUp as late:
            return [self._late(probe, late.report)]
        except Exception as error:  # noqa: BLE001 - as above
            return [broken("hand-over", f"a job cannot be run: {_words(error)}")]
        finally:
            self._clear(job_id)

    def _late(self, probe: Probe, report: Report) -> Finding:
        message = f": {report.message}" if report.message else ""
        after = f"after {self._patience:.0f} s{message}"
        if report.state in (State.WAITING, State.HELD):
            return warning("turn", f"a job still waits {after}")
        return broken(probe.name, f"a job is still {report.state.name} {after}")

    def _evidence(self, probe: Probe, job_id: str) -> Evidence:
        nonce = secrets.token_hex(8)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "UWSD_PROBE": nonce}
        task = Task(
            job_id=job_id,
            command=("sh", "-c", probe.script, "uwsd", nonce, _own_address()),
            environment=environment,
            files={"inputs/nonce": nonce.encode()},
            duration=probe.duration,
            memory=probe.memory,
            image=self._subject.image,
            service="doctor",
        )
        workspace = self._workspaces.prepare(job_id)
        for name in LOGS:  # as the supervisor does
            (workspace / "logs" / name).touch(mode=0o600)
        began = time.time()
        handle = self._backend.submit(task)
        give_up = time.monotonic() + self._patience
        if probe.cancelled:
            self._wait(handle, give_up, (workspace / SIGN).exists)
            self._backend.cancel(handle)
        report = self._wait(handle, give_up)
        return Evidence(
            report=report,
            workspace=workspace,
            nonce=nonce,
            environment=environment,
            began=began,
            ended=time.time(),
            secret=_SECRET,
            grows=probe.cancelled and _grows(workspace / SIGN),
        )

    def _wait(
        self, handle: Handle, give_up: float, sign: Callable[[], bool] = lambda: False
    ) -> Report:
        """Wait until the job is over, or there is a sign of it; raise `_TimeIsUp`."""
        pause = 0.02
        while True:
            report = self._backend.poll([handle])[handle]
            if report.state.is_over or sign():
                return report
            if time.monotonic() > give_up:
                raise _TimeIsUp(report)
            time.sleep(pause)
            pause = min(1.0, 1.5 * pause)

    def _clear(self, job_id: str) -> None:
        """Have the engine forget the job, whatever became of it, and remove its files."""
        try:
            self._release(job_id)
        except BackendError as error:
            self._left.append(f"a job cannot be released: {error}")
        self._workspaces.remove(job_id)
        if (folder := self._workspaces.path(job_id)).exists():
            self._left.append(f"files of a job cannot be removed: {folder}")

    def _release(self, job_id: str) -> None:
        give_up = time.monotonic() + _RELEASED_WITHIN
        while handle := self._backend.find(job_id):
            if time.monotonic() > give_up:
                raise BackendError("the engine still has it")
            with suppress(BackendError):  # as long as it is still being stopped
                self._backend.release(handle)
            time.sleep(0.1)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _grows(path: Path) -> bool:
    size = path.stat().st_size
    time.sleep(_STILL)
    return path.stat().st_size != size


def _own_address() -> str:
    """Return the address by which others reach this machine; empty if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        try:
            there.connect(("192.0.2.1", 9))  # a test network: nothing is sent
        except OSError:
            return ""
        address: str = there.getsockname()[0]
        return "" if address.startswith("127.") else address
