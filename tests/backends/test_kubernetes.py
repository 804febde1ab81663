"""The Kubernetes backend, with real pods on a real node."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.contract import BackendContract, NewBackend
from tests.engines.kubernetes import Given, Private
from uwsd.backends.base import Handle
from uwsd.backends.kubernetes import Options
from uwsd.backends.kubernetes.driver import KubernetesBackend

ADDED = frozenset(
    (
        *("HOSTNAME", "HOME", "PWD", "OLDPWD", "SHLVL"),
        *("KUBERNETES_PORT", "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_ADDR"),
        *("KUBERNETES_PORT_443_TCP_PORT", "KUBERNETES_PORT_443_TCP_PROTO"),
        *("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"),
    )
)


def options(engine: Private | Given, **more: object) -> Options:
    """Return the options of the backend, for tests that do not wait."""
    table = {**engine.options, "grace": 1, **more}
    del table["type"]
    return Options.model_validate(table)


class TestKubernetesBackend(BackendContract):
    """The contract, and what only Kubernetes can show."""

    patience = 60.0
    many = int(os.environ.get("UWSD_MANY", "30"))
    cuts = 4
    submitting = 0.15
    glimpse = 3  # a node looks at its containers each second
    engine_adds = ADDED

    @pytest.fixture
    def workspaces(self, tmp_path: Path) -> Path:
        return tmp_path / "jobs"

    @pytest.fixture
    def new_backend(
        self, workspaces: Path, kubernetes_engine: Private | Given
    ) -> Iterator[NewBackend]:
        made: list[KubernetesBackend] = []

        def make() -> KubernetesBackend:
            made.append(KubernetesBackend(workspaces, options(kubernetes_engine)))
            return made[-1]

        yield make
        for workspace in workspaces.glob("[!.]*"):
            make().release(Handle(workspace.name))
        for backend in made:
            backend.close()
