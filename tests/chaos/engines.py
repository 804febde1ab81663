"""The engines that storms go over: an entry in `ENGINES` each.

An engine's fixture gives an object with ``options``, the backend's table of uwsd.toml.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from tests.chaos.accounts import Losable
from tests.chaos.site import Site, job_workers
from tests.chaos.storm import Target
from tests.engines.daemons import Daemons
from tests.engines.docker import DockerEngine
from tests.engines.kubernetes import NAMESPACE, Private, is_node_ready, is_ready
from tests.engines.slurm import Slurm

Targets = Sequence[Target]

_HEALING = 180.0
_STAYS = 5.0


def bounce(
    name: str, kill: Callable[[], object], restart: Callable[[], object] = lambda: None
) -> Target:
    """Return what is killed, and started again after the pause."""

    def strike(pause: float) -> bool:
        try:
            kill()
        except (FileNotFoundError, ProcessLookupError):
            return False  # it is down in any case
        time.sleep(pause)
        restart()
        return True

    return Target(name, strike)


def bounce_each(engine: DockerEngine | Slurm | Private, *_: object) -> Targets:
    """Return every daemon of an engine."""
    daemons = engine.daemons
    if daemons is None:
        pytest.skip("the engine is somebody's own")
    return [
        bounce(name, partial(daemons.kill, name), partial(_restart, daemons, name))
        for name in daemons.names
    ]


def _restart(daemons: Daemons, name: str) -> None:
    """Start a daemon until it stays, as an init system does: what it needs may be down as well."""
    give_up = time.monotonic() + _HEALING
    while time.monotonic() < give_up:
        with suppress(Exception):
            daemons.restart(name, within=_STAYS)
        if daemons.is_running(name):
            return
    raise TimeoutError(f"{name} does not stay: {daemons.log(name)[-500:]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What is different from one engine to the next."""

    name: str
    fixture: str
    leftovers: Callable[[Any, Site], Sequence[str]]
    """Return what is left on the engine of jobs that nobody wants any more."""
    targets: Callable[[Any, Site, Losable], Targets]
    """Return what can be killed of it; the jobs that this may cost are added to the last."""
    losers: tuple[str, ...] = ()  #: how targets are called whose end may be the end of any job
    is_well: Callable[[Any], bool] = lambda _: True
    """Whether it can run jobs; peace begins when it can."""
    patience: float = 0  #: seconds that it takes to recover by itself, beyond a minute

    def start(self, request: pytest.FixtureRequest) -> Any:
        """Start it; give what its fixture gives."""
        return request.getfixturevalue(self.fixture)

    def heal(self, running: Any) -> str:
        """Wait until it has recovered from a storm by itself; say so if it does not."""
        deadline = time.monotonic() + _HEALING
        while time.monotonic() < deadline:
            with suppress(Exception):
                if self.is_well(running):
                    return ""
            time.sleep(0.5)
        return f"{self.name} has not recovered"

    def left(self, running: Any, site: Site) -> Sequence[str]:
        """Return what is left on it, or that nobody can say."""
        try:
            return self.leftovers(running, site)
        except Exception as error:  # noqa: BLE001 - it is a finding, like any other
            return [f"{self.name} cannot be asked: {error!r}"]


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """The engine of the local backend."""

    options: dict[str, object] = field(default_factory=lambda: {"type": "local", "slots": 16})


def _job_s_worker(_: ThisMachine, site: Site, losable: Losable) -> Targets:
    def kill() -> None:
        workers = job_workers(site)
        if not workers:
            raise ProcessLookupError
        pid = random.choice(list(workers))
        losable.these.add(workers[pid])
        os.kill(pid, signal.SIGKILL)

    return [bounce("job's worker", kill)]


def _entries(_: ThisMachine, site: Site) -> Sequence[str]:
    return [str(entry) for queue in site.workspaces.glob(".queue-*") for entry in queue.iterdir()]


def _containers(engine: DockerEngine, _: Site) -> Sequence[str]:
    with engine.client() as client:
        return [str(container["Names"]) for container in client.containers(all=True)]


def _batch_jobs(engine: Slurm, _: Site) -> Sequence[str]:
    return engine.run("squeue", "-h", "-o", "%j %T").splitlines()


def _jobs_and_pods(engine: Private, _: Site) -> Sequence[str]:
    return engine.kubectl("-n", NAMESPACE, "get", "jobs,pods", "-o", "name").splitlines()


ENGINES = (
    Engine(name="local", fixture="this_machine", leftovers=_entries, targets=_job_s_worker),
    Engine(
        name="docker",
        fixture="own_docker",
        leftovers=_containers,
        targets=bounce_each,
        losers=("dockerd", "containerd"),
    ),
    Engine(
        name="slurm",
        fixture="slurm_engine",
        leftovers=_batch_jobs,
        targets=bounce_each,
        losers=("slurmd.", "slurmctld"),
        is_well=lambda engine: engine.is_up(),
        patience=60,
    ),
    Engine(
        name="kubernetes",
        fixture="private_kubernetes",
        leftovers=_jobs_and_pods,
        targets=bounce_each,
        losers=("containerd", "kubelet"),
        is_well=lambda engine: is_ready(engine) and is_node_ready(engine, "node1"),
        patience=60,
    ),
)
