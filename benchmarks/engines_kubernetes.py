"""What Kubernetes costs: a look at thousands of Jobs, and handing one over."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import uuid4

from kubernetes import client

from benchmarks.table import Row, at_most
from benchmarks.web import percentile
from tests.engines import kubernetes_fakes as fakes
from tests.engines.kubernetes import Private, kubernetes
from uwsd.backends.base import Handle, State, Task
from uwsd.backends.kubernetes import Options
from uwsd.backends.kubernetes.driver import KubernetesBackend
from uwsd.backends.kubernetes.manifest import manifest

_ENVIRONMENT = {"PATH": "/bin"}


def kubernetes_rows(jobs: int, rounds: int) -> Iterator[Row]:
    """Measure ``jobs`` Jobs at once on nodes that pretend, and single ones on a real node."""
    with kubernetes() as engine, TemporaryDirectory(prefix="uwsd-bench-") as folder:
        yield from _overhead(engine, Path(folder) / "few", rounds)
        fakes.start(engine, nodes=2, pods=jobs)
        yield from _scale(engine, Path(folder) / "many", jobs)


def _options(engine: Private, **more: object) -> Options:
    table = {**engine.options, "grace": 1, **more}
    del table["type"]
    return Options.model_validate(table)


def _task(*command: str) -> Task:
    return Task(job_id=str(uuid4()), command=command, environment=_ENVIRONMENT)


def _scale(engine: Private, root: Path, jobs: int) -> Iterator[Row]:
    backend = KubernetesBackend(root, _options(engine, **fakes.OPTIONS))
    began = time.perf_counter()
    handles = [backend.submit(_task("true")) for _ in range(jobs)]
    each = (time.perf_counter() - began) / jobs
    yield at_most(f"Kubernetes: to hand over each of {jobs} jobs", 50, 1000 * each, "ms")
    _wait(backend, handles, State.RUNNING)
    yield _tick(backend, handles, f"Kubernetes: a tick with {jobs} running jobs")
    backend.close()
    backend = KubernetesBackend(root, _options(engine, **fakes.OPTIONS))
    listed = _time(lambda: backend.poll(handles))
    yield at_most(f"Kubernetes: to list {jobs} jobs anew", 5, listed, "s")
    fakes.finish(engine)
    began = time.perf_counter()
    ticks = _wait(backend, handles, State.DONE)
    took = time.perf_counter() - began
    worst = max(ticks)
    yield Row(what=f"Kubernetes: {jobs} jobs end", measured=f"{took:.0f} s in {len(ticks)} ticks")
    yield at_most("Kubernetes: the longest tick meanwhile", 2, worst, "s")
    yield _tick(backend, handles, f"Kubernetes: a tick with {jobs} jobs that are over")
    began = time.perf_counter()
    for handle in handles:
        backend.release(handle)
    each = (time.perf_counter() - began) / jobs
    yield at_most("Kubernetes: to release each of them", 50, 1000 * each, "ms")
    backend.close()


def _wait(backend: KubernetesBackend, handles: list[Handle], state: State) -> list[float]:
    """Wait until all jobs are in one state; return what each look took."""
    ticks: list[float] = []
    deadline = time.monotonic() + 600
    while True:
        began = time.perf_counter()
        states = {report.state for report in backend.poll(handles).values()}
        ticks.append(time.perf_counter() - began)
        if states == {state}:
            return ticks
        assert time.monotonic() < deadline, states
        time.sleep(0.1)


def _tick(backend: KubernetesBackend, handles: list[Handle], what: str) -> Row:
    ticks = [_time(lambda: backend.poll(handles)) for _ in range(20)]
    return at_most(f"{what}, p50", 250, 1000 * percentile(ticks, 50), "ms")


def _time(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _overhead(engine: Private, root: Path, rounds: int) -> Iterator[Row]:
    """Compare the time to the first instruction with that of the same Job, made by hand."""
    options = _options(engine)
    backend = KubernetesBackend(root, options)
    with engine.api as api:
        batch = client.BatchV1Api(api)
        through, direct = [], []
        for _ in range(rounds):
            through.append(_to_first(root, backend.submit))
            direct.append(_to_first(root, lambda task: _create(batch, options, root, task)))
    backend.close()
    ratio = median(through) / median(direct)
    more = f"({median(through):.2f} s / {median(direct):.2f} s)"
    yield at_most("Kubernetes: to the first instruction / by hand", 1.1, ratio, "", more)


def _create(batch: client.BatchV1Api, options: Options, root: Path, task: Task) -> None:
    body = manifest(task, f"hand-{task.job_id}", "hand", options, _made(root, task))
    batch.create_namespaced_job(options.namespace, body)


def _made(root: Path, task: Task) -> Path:
    workspace = root / task.job_id
    for name in ("", "inputs", "outputs", "logs"):
        (workspace / name).mkdir()
        os.chown(workspace / name, 65534, 65534)
    return workspace


def _to_first(root: Path, hand_over: Callable[[Task], object]) -> float:
    task = _task("touch", "first")
    began = time.time()
    hand_over(task)
    first = root / task.job_id / "outputs/first"
    while not first.exists():
        time.sleep(0.005)
    return first.stat().st_mtime - began
