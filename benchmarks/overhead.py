"""From POST PHASE=RUN to a job's first instruction, beside the same command given to the engine."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import docker
from kubernetes import client

from benchmarks.table import Row, at_most
from benchmarks.web import address_of, connect, exchange, request
from tests.engines.docker import docker_engine
from tests.engines.kubernetes import kubernetes
from tests.engines.slurm import slurm
from tests.serving import Server
from uwsd.backends.base import Task
from uwsd.backends.kubernetes import Options
from uwsd.backends.kubernetes.manifest import manifest

_COMMAND = ("sh", "-c", ": >first")
_SERVICE = """
[services.first]
command = ["sh", "-c", ": >first"]
anonymous = true
"""

_TICK = 0.004

Direct = Callable[[Path], object]
"""Gives the command to the engine, to run in ``outputs/`` of a folder; returns at once."""
Engine = Callable[[], AbstractContextManager[tuple[Mapping[str, Any], Direct]]]


def overhead(rounds: int) -> Iterator[Row]:
    """Measure every engine ``rounds`` times, the two ways in turn."""
    for name, (engine, target) in _ENGINES.items():
        with TemporaryDirectory(prefix="uwsd-bench-") as folder, engine() as (options, direct):
            through, by_hand = _measure(Path(folder), options, direct, rounds)
        ratio = median(through) / median(by_hand)
        more = f"({1000 * median(through):.0f} ms / {1000 * median(by_hand):.0f} ms)"
        yield at_most(f"RUN to the first instruction, {name} / by hand", target, ratio, "", more)


def _measure(
    folder: Path, options: Mapping[str, Any], direct: Direct, rounds: int
) -> tuple[list[float], list[float]]:
    config = folder / "uwsd.toml"
    config.write_text(_SERVICE)
    table = {f"UWSD_BACKENDS__LOCAL__{name}": str(value) for name, value in options.items()}
    server = Server(folder / "data", config, **table).start()
    through, by_hand = [], []
    try:
        for _ in range(rounds):
            through.append(_through(server))
            by_hand.append(_by_hand(folder, direct))
    finally:
        server.stop()
    return through, by_hand


def _through(server: Server) -> float:
    began = _now(server.data)
    with connect(address_of(server.url)) as connection:
        url = f"{server.url}/first/async"
        job = exchange(connection, request(url, {"PHASE": "RUN"})).location
        first = server.data / "jobs" / job.rpartition("/")[2] / "outputs/first"
        return max(_TICK, _seen(first) - began)


def _by_hand(folder: Path, direct: Direct) -> float:
    workspace = folder / str(uuid4())
    for name in ("inputs", "outputs", "logs"):
        (workspace / name).mkdir(parents=True)
        os.chown(workspace / name, 65534, 65534)
    workspace.chmod(0o755)
    began = _now(folder)
    direct(workspace)
    return max(_TICK, _seen(workspace / "outputs/first") - began)


def _now(folder: Path) -> float:
    """Return the time by the clock that stamps files, which goes in ticks of some milliseconds."""
    (folder / "now").touch()
    return (folder / "now").stat().st_mtime


def _seen(file: Path) -> float:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, file
        time.sleep(0.001)
    return file.stat().st_mtime


@contextmanager
def _local() -> Iterator[tuple[Mapping[str, Any], Direct]]:
    started = []

    def direct(workspace: Path) -> None:
        started.append(subprocess.Popen(_COMMAND, cwd=workspace / "outputs"))

    yield {"type": "local"}, direct
    for process in started:
        process.wait()


@contextmanager
def _docker() -> Iterator[tuple[Mapping[str, Any], Direct]]:
    with docker_engine() as engine:
        api = docker.DockerClient(base_url=engine.url, version="auto")

        def direct(workspace: Path) -> None:
            place = str(workspace / "outputs")
            volumes = {place: {"bind": place, "mode": "rw"}}
            more = {"working_dir": place, "volumes": volumes, "network_mode": "none"}
            api.containers.run(engine.image, list(_COMMAND), detach=True, init=True, **more)

        yield engine.options, direct
        api.close()


@contextmanager
def _slurm() -> Iterator[tuple[Mapping[str, Any], Direct]]:
    with slurm() as engine:

        def direct(workspace: Path) -> None:
            place = f"--chdir={workspace / 'outputs'}"
            engine.run("sbatch", place, "--output=/dev/null", "--wrap", _COMMAND[-1])

        yield engine.options, direct


@contextmanager
def _kubernetes() -> Iterator[tuple[Mapping[str, Any], Direct]]:
    with kubernetes() as engine, engine.api as api:
        batch = client.BatchV1Api(api)
        table = {name: value for name, value in engine.options.items() if name != "type"}
        options = Options.model_validate(table)

        def direct(workspace: Path) -> None:
            environment = {"PATH": "/bin"}
            task = Task(job_id=workspace.name, command=_COMMAND, environment=environment)
            body = manifest(task, f"hand-{workspace.name}", "hand", options, workspace)
            batch.create_namespaced_job(options.namespace, body)

        yield engine.options, direct


_ENGINES: Mapping[str, tuple[Engine, float]] = {
    "local": (_local, 40),
    "Docker": (_docker, 1.5),
    "Slurm": (_slurm, 4),
    "Kubernetes": (_kubernetes, 1.3),
}
"""How much longer it may take. A process of one's own starts in no time at all; Slurm's scheduler
looks at a job that is released about a second later than at one that was never held."""
