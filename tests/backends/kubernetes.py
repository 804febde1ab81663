"""What tests of the Kubernetes backend have in common."""

import select
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from kubernetes import client

from tests.engines.daemons import wait_until
from tests.engines.kubernetes import Given, Private
from uwsd.backends.base import BackendError, Handle
from uwsd.backends.kubernetes import Options
from uwsd.backends.kubernetes.driver import KubernetesBackend

Make = Callable[..., KubernetesBackend]


def options(engine: Private | Given, **more: object) -> Options:
    """Return the options of the backend, for tests that do not wait."""
    table = {**engine.options, "grace": 1, **more}
    del table["type"]
    return Options.model_validate(table)


class WithBackends:
    """Fixtures: backends on one folder, and the engine as its administrator sees it."""

    @pytest.fixture
    def workspaces(self, tmp_path: Path) -> Path:
        return tmp_path / "jobs"

    @pytest.fixture
    def engine(self, kubernetes_engine: Private | Given) -> Private | Given:
        return kubernetes_engine

    @pytest.fixture
    def make(self, workspaces: Path, engine: Private | Given) -> Iterator[Make]:
        """Make a backend, with options of its own."""
        made: list[KubernetesBackend] = []

        def backend(**more: object) -> KubernetesBackend:
            made.append(KubernetesBackend(workspaces, options(engine, **more)))
            return made[-1]

        yield backend
        last = backend()
        for workspace in workspaces.glob("[!.]*"):
            handle = Handle(workspace.name)
            wait_until(partial(is_released, last, handle), 60, f"{handle} cannot be released")
        for each in made:
            each.close()

    @pytest.fixture
    def batch(self, engine: Private | Given) -> Iterator[client.BatchV1Api]:
        with engine.api as api:
            yield client.BatchV1Api(api)

    @pytest.fixture
    def core(self, engine: Private | Given) -> Iterator[client.CoreV1Api]:
        with engine.api as api:
            yield client.CoreV1Api(api)

    @pytest.fixture
    def namespace(self, engine: Private | Given) -> str:
        return str(engine.options["namespace"])


def is_released(backend: KubernetesBackend, handle: Handle) -> bool:
    try:
        backend.poll([])  # it waits for a while after each
        backend.release(handle)
    except BackendError:
        return False
    return True


def is_readable(descriptor: int, within: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(within * 1000))
