"""What all tests may ask for."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.engines.docker import docker_server, own_docker
from tests.engines.kubernetes import kubernetes_engine, private_kubernetes
from tests.engines.postgresql import fresh_database, postgresql
from tests.engines.slurm import next_slurm_engine, slurm_engine, slurm_without_accounting
from tests.engines.sshd import ssh
from tests.serving import Server
from uwsd.database import Database
from uwsd.migrations import migrate

DATABASES = ("sqlite", "postgresql")

Serve = Callable[..., AbstractContextManager[Server]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``both_databases`` against a server on each; all else on the embedded one."""
    if "database_kind" in metafunc.fixturenames:
        both = metafunc.definition.get_closest_marker("both_databases")
        kinds, ids = (DATABASES, DATABASES) if both else (DATABASES[:1], [pytest.HIDDEN_PARAM])
        metafunc.parametrize("database_kind", kinds, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    """The database that servers keep their jobs in."""
    return str(request.param)


@pytest.fixture(scope="session")
def serve(database_kind: str, request: pytest.FixtureRequest) -> Serve:
    """Start a server on a data folder, and on an empty database."""
    engine = "" if database_kind == "sqlite" else request.getfixturevalue("postgresql_server")

    @contextmanager
    def start(data: Path, config: Path | None = None) -> Iterator[Server]:
        with ExitStack() as stack:
            environment = {}
            if engine:
                environment["UWSD_DATABASE__URL"] = stack.enter_context(fresh_database(engine))
                _migrate(environment["UWSD_DATABASE__URL"])
            server = Server(data, config, **environment).start()
            try:
                yield server
            finally:  # also when a test fails: it must not go on for ever
                status = server.stop()
            assert status == 0, server.log

    return start


def _migrate(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()


@pytest.fixture(scope="session")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The bundled services, shared by all tests that do not stop it."""
    with serve(tmp_path_factory.mktemp("site") / "data") as server:
        yield server
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
