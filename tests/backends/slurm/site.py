"""A folder of jobs and a cluster, with a hand on both."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.backends.contract import BackendContract
from tests.engines.daemons import wait_until
from tests.engines.slurm import Slurm
from uwsd.backends.base import BackendError, Handle, Report, State, Task
from uwsd.backends.slurm import Options, create
from uwsd.backends.slurm.driver import SlurmBackend

QUICK = {"poll": 0.2, "grace": 0.4, "lost": 1, "hopeless": 1}
GO = "while ! [ -e ../inputs/go ]; do sleep 0.05; done"


class _Contract(BackendContract):
    patience = 60.0


class Site:
    """Where the tests of one cluster run their jobs."""

    def __init__(self, engine: Slurm, root: Path) -> None:
        self.engine = engine
        self.root = root
        self._wait = _Contract()

    def backend(self, **more: object) -> SlurmBackend:
        """Make a backend: always of the same server."""
        options = {**self.engine.options, **QUICK, **more}
        del options["type"]
        return create("cluster", Options(**options), self.root)  # type: ignore[arg-type]

    def wait(self, backend: SlurmBackend, handle: Handle) -> Report:
        """Wait until the job is over."""
        return self._wait.wait(backend, handle)

    def until(
        self, backend: SlurmBackend, handle: Handle, state: State, saying: str = ""
    ) -> Report:
        """Wait until a job says that it is so."""
        reports: list[Report] = []

        def is_so() -> bool:
            with suppress(BackendError):
                reports.append(backend.poll([handle])[handle])
                return reports[-1].state is state and saying in reports[-1].message
            return False

        wait_until(is_so, 60, "")
        return reports[-1]

    def assert_still(self, beat: Path) -> None:
        """Fail if something still makes the file grow."""
        self._wait.assert_still(beat)

    def id(self, handle: Handle) -> str:
        """Return what Slurm calls a job."""
        record = json.loads((self.root / handle / "run/slurm.json").read_text())
        return str(record["id"])

    def output(self, handle: Handle, name: str = "logs/stdout") -> str:
        """Return what a job has printed, or left."""
        return (self.root / handle / name).read_text()

    def go(self, handle: Handle) -> None:
        """Let a job that runs ``GO`` get on."""
        (self.root / handle / "inputs/go").touch()

    def wait_for(self, path: str, handle: Handle) -> Path:
        """Wait for a file of a job."""
        file = self.root / handle / path
        wait_until(file.exists, 60, f"{path} never came")
        return file

    def cut_short(self, backend: SlurmBackend, task: Task, *, times: int = 1) -> list[str]:
        """Do what submit does until Slurm has taken a job, and no more: as if killed there."""
        job = backend._job(task.job_id)
        note = job.note() or backend._write_down(task, job, "")
        with backend._locks.hold(task.job_id) as lock:
            return [backend._submit(job, note, lock) for _ in range(times)]

    @contextmanager
    def without(self, daemon: str) -> Iterator[None]:
        """Kill a daemon, and start it again at the end."""
        daemons = self.engine.daemons
        assert daemons is not None
        if daemon == "slurmctld":
            self.wait_until_saved()
        daemons.kill(daemon)
        try:
            yield
        finally:
            daemons.restart(daemon)

    def wait_until_saved(self) -> None:
        """Wait until the controller has on disk all that it was told by now."""
        state = self.engine.folder / "state/job_state"
        # It saves what has changed: so that there is something, a stranger comes.
        id_ = self.engine.run("sbatch", "--parsable", "--hold", "-o", "/dev/null", "--wrap=true")
        now = time.time()
        wait_until(lambda: state.exists() and state.stat().st_mtime > now, 30, "not saved")
        self.engine.run("scancel", id_.strip())

    def clear(self) -> None:
        """Forget all jobs."""
        if self.root.exists():
            backend = self.backend()
            for workspace in self.root.glob("[!.]*"):
                with suppress(BackendError):
                    backend.release(Handle(workspace.name))
