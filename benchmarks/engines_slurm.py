"""What Slurm costs: a look at thousands of jobs, and handing one over."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from benchmarks.table import Row, at_most
from benchmarks.web import percentile
from tests.engines.slurm import Slurm, slurm
from uwsd.backends.base import Handle, Task
from uwsd.backends.slurm import Options, create
from uwsd.backends.slurm.driver import SlurmBackend

_ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
_POLL = 0.01  #: seconds: so that each tick does ask squeue


def slurm_rows(jobs: int) -> Iterator[Row]:
    """Measure ``jobs`` jobs at once, most of which wait for the few nodes."""
    with slurm() as engine, TemporaryDirectory(prefix="uwsd-bench-") as folder:
        backend = _backend(engine, Path(folder))
        began = time.perf_counter()
        handles = [backend.submit(_task()) for _ in range(jobs)]
        each = (time.perf_counter() - began) / jobs
        yield at_most(f"Slurm: to hand over each of {jobs} jobs", 100, 1000 * each, "ms")
        asking, quiet = _ticks(backend, handles)
        yield at_most(f"Slurm: the longest tick with {jobs} jobs, squeue asked", 1, asking, "s")
        yield at_most(f"Slurm: a tick with {jobs} jobs between, p50", 0.25, quiet, "s")
        anew = _tick(_backend(engine, Path(folder)), handles)
        yield at_most(f"Slurm: a new server finds its {jobs} jobs", 10, anew, "s")
        engine.run("scancel", "--user=root")


def _backend(engine: Slurm, root: Path) -> SlurmBackend:
    table = {name: value for name, value in engine.options.items() if name != "type"}
    return create("slurm", Options.model_validate({**table, "poll": _POLL}), root)


def _task() -> Task:
    return Task(job_id=str(uuid4()), command=("sleep", "3600"), environment=_ENVIRONMENT)


def _ticks(backend: SlurmBackend, handles: list[Handle]) -> tuple[float, float]:
    """Return what a tick takes that asks squeue, and one that need not, in seconds."""
    took = sorted(_tick(backend, handles) for _ in range(40))
    # Squeue is left alone for ten times as long as it has taken: few of these ticks ask it.
    return took[-1], percentile(took, 50)


def _tick(backend: SlurmBackend, handles: list[Handle]) -> float:
    began = time.perf_counter()
    backend.poll(handles)
    return time.perf_counter() - began
