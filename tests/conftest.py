"""What all tests may ask for."""

from collections.abc import Iterator

import pytest

from tests.engines.postgresql import postgresql
from tests.serving import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The bundled services, shared by all tests that do not stop it."""
    server = Server(tmp_path_factory.mktemp("site") / "data").start()
    yield server
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log


@pytest.fixture
def demo(server: Server) -> str:
    """The job list of the service `demo`."""
    return f"{server.url}/demo/async"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a private PostgreSQL server."""
    with postgresql() as url:
        yield url
