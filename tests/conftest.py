"""What all tests may ask for."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines.postgresql import fresh_database, postgresql
from tests.serving import Server
from uwsd.database import Database
from uwsd.migrations import migrate


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


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind, with today's schema."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            database = Database.in_file(tmp_path / "jobs.db")
        else:
            server = request.getfixturevalue("postgresql_server")
            database = Database(stack.enter_context(fresh_database(server)))
        stack.callback(database.close)
        migrate(database)
        yield database
