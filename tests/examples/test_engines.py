"""The agnpy example on every engine: the services as they are, and the same numbers everywhere."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from tests.engines.images import TAG, containerd_import, docker_import
from tests.examples.running import EXAMPLE, computed, needs_environment, run_notebook
from tests.serving import Server

pytestmark = [needs_environment, pytest.mark.timeout(600)]

Options = Mapping[str, Any]


def on_docker(request: pytest.FixtureRequest) -> Options:
    """A Docker engine that has the image."""
    import docker

    engine = request.getfixturevalue("docker_server")
    client = docker.DockerClient(base_url=engine.url, timeout=300)
    docker_import(client)
    client.close()
    return {**engine.options, "image": TAG}


def on_slurm(request: pytest.FixtureRequest) -> Options:
    """A cluster whose nodes see the folder of the example."""
    options: Options = request.getfixturevalue("slurm_engine").options
    return options


def on_kubernetes(request: pytest.FixtureRequest) -> Options:
    """A cluster whose node has the image."""
    engine = request.getfixturevalue("private_kubernetes")
    containerd_import(engine.places.containerd)
    return {**engine.options, "image": TAG, "image_pull_policy": "Never"}


@pytest.fixture(scope="module", params=[on_docker, on_slurm, on_kubernetes])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The example's own configuration; another engine takes the place of ``local``."""
    options = request.param(request)
    environment = {f"UWSD_BACKENDS__LOCAL__{name}": str(v) for name, v in options.items()}
    server = Server(tmp_path_factory.mktemp("site") / "data", EXAMPLE / "uwsd.toml", **environment)
    server.start()
    yield server
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the program computes on this machine."""
    server = Server(tmp_path_factory.mktemp("here") / "data", EXAMPLE / "uwsd.toml").start()
    table = computed(server, "sed")
    assert server.stop() == 0
    return table


def test_the_program_s_numbers_are_those_of_this_machine(server: Server, expected: Any) -> None:
    table = computed(server, "sed")
    assert table.dtype == expected.dtype
    for name in table.dtype.names or ():
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-12)


def test_the_notebook_s_numbers_are_the_program_s(server: Server) -> None:
    run_notebook(server)
