"""The Docker backend, on a real engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.contract import BackendContract, NewBackend
from tests.engines.docker import DockerEngine
from uwsd.backends.base import Handle
from uwsd.backends.docker import DockerBackend, Options


# The library leaves a socket to the garbage collector when nobody listens there.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.*family=1,:ResourceWarning")


class TestDockerBackend(BackendContract):
    """The contract, and what only containers can show."""

    engine_adds = frozenset(("HOME", "HOSTNAME", "OLDPWD", "PWD", "SHLVL"))

    @pytest.fixture
    def workspaces(self, docker_server: DockerEngine, tmp_path: Path) -> Iterator[Path]:
        root = tmp_path / "jobs"
        root.mkdir()
        yield root
        backend = self.backend(docker_server, root)
        for workspace in root.iterdir():
            if not workspace.name.startswith("."):
                backend.release(Handle(workspace.name))

    @pytest.fixture
    def new_backend(self, docker_server: DockerEngine, workspaces: Path) -> NewBackend:
        return lambda: self.backend(docker_server, workspaces)

    def backend(self, engine: DockerEngine, workspaces: Path, **options: object) -> DockerBackend:
        told = {"grace": 0.4, **engine.options, **options}
        del told["type"]
        return DockerBackend("docker", Options.model_validate(told), workspaces)
