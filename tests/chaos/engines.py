"""The engines that storms go over: one line each.

An engine's fixture gives an object with ``options``, the backend's table of uwsd.toml, and
``daemons``, what can be killed of it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What is different from one engine to the next."""

    name: str
    fixture: str
    patience: float = 0  #: seconds that it takes to recover by itself, beyond a minute
    losers: frozenset[str] = frozenset()  #: daemons whose end may be the end of jobs
    leftovers: Callable[[Any, Site], Sequence[str]]
    """Return what is left on the engine of jobs that nobody wants any more."""

    def start(self, request: pytest.FixtureRequest) -> Any:
        """Start it; give what its fixture gives."""
        return request.getfixturevalue(self.fixture)

    def left(self, running: Any, site: Site) -> Sequence[str]:
        """Return what is left on it, or that nobody can say."""
        try:
            return self.leftovers(running, site)
        except Exception as error:  # noqa: BLE001 - it is a finding, like any other
            return [f"{self.name} cannot be asked: {error!r}"]


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """This machine."""

    options: dict[str, object] = field(default_factory=lambda: {"type": "local", "slots": 16})


def _local_leftovers(_: LocalEngine, site: Site) -> Sequence[str]:
    return [str(entry) for queue in site.workspaces.glob(".queue-*") for entry in queue.iterdir()]


def _containers(engine: Any, _: Site) -> Sequence[str]:
    with engine.client() as client:
        return [str(container["Names"]) for container in client.containers(all=True)]


ENGINES = (
    Engine(name="local", fixture="this_machine", leftovers=_local_leftovers),
    Engine(
        name="docker",
        fixture="own_docker",
        losers=frozenset({"dockerd"}),
        leftovers=_containers,
    ),
)


def targets(engine: Any, site: Site) -> tuple[Sequence[Target], Losable]:
    """Return what can be killed of an engine, and which jobs that may cost."""
    if isinstance(engine, LocalEngine):
        losable = Losable()
        return [Target("job's worker", partial(_kill_worker, site, losable))], losable
    daemons: Daemons = engine.daemons
    return [Target(name, partial(_bounce, daemons, name)) for name in daemons.names], Losable()


def _kill_worker(site: Site, losable: Losable, _pause: float) -> bool:
    workers = job_workers(site)
    with suppress(IndexError, ProcessLookupError):
        pid = random.choice(list(workers))
        losable.these.add(workers[pid])
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _bounce(daemons: Daemons, name: str, pause: float) -> bool:
    daemons.kill(name)
    time.sleep(pause)
    daemons.restart(name)
    return True
