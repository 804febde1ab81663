"""A backend whose jobs are in whatever state a test has written down: `say` does."""

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import BaseModel

from uwsd.backends.base import Backend, Handle, Report, State, Task


class Options(BaseModel):
    """There are none."""


def say(jobs: Path, job_id: str, state: State) -> None:
    """Put a job into a state."""
    (jobs / f".{job_id}.new").write_text(state.name)
    (jobs / f".{job_id}.new").rename(jobs / f".{job_id}")


class Puppet(Backend):
    """A handle is the job's id."""

    def __init__(self, jobs: Path) -> None:
        self._jobs = jobs

    def submit(self, task: Task) -> Handle:
        return Handle(task.job_id)

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        return {handle: Report(state=self._state(handle), message="as told") for handle in handles}

    def cancel(self, handle: Handle) -> None:
        say(self._jobs, handle, State.CANCELLED)

    def release(self, handle: Handle) -> None:
        (self._jobs / f".{handle}").unlink(missing_ok=True)

    def find(self, job_id: str) -> Handle | None:
        return Handle(job_id)

    def _state(self, handle: Handle) -> State:
        file = self._jobs / f".{handle}"
        return State[file.read_text()] if file.exists() else State.WAITING


def create(_name: str, _options: Options, root: Path) -> Puppet:
    return Puppet(root)
