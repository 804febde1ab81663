"""What a GET of a job costs: it is asked for thousands of times a second."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Pool, event

from uwsd.app import create_app, stop_waiting
from uwsd.config import BUNDLED, load
from uwsd.migrations import migrate
from uwsd.site import open_database
from uwsd.uws.resources.blueprint import EXTENSION

HOST = {"HTTP_HOST": "localhost", "SERVER_PORT": "80"}


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """What the database has been asked about jobs, by whatever way: it tells itself."""
    statements: list[str] = []

    def note(statement: str) -> None:
        if "FROM job" in statement:
            statements.append(statement)

    def listen(connection: sqlite3.Connection, _entry: object) -> None:
        connection.set_trace_callback(note)

    event.listen(Pool, "connect", listen)
    yield statements
    event.remove(Pool, "connect", listen)


@pytest.fixture
def client(asked: list[str], tmp_path: Path) -> Iterator[FlaskClient]:
    settings = load(BUNDLED, {"UWSD_DATA": str(tmp_path)})
    database = open_database(settings)
    migrate(database)
    database.close()
    app = create_app(settings)
    client = app.test_client()
    client.environ_base.update(HOST)
    yield client
    stop_waiting(app)
    store = app.extensions[EXTENSION].store
    store.feed.close()
    store._database.close()


@pytest.mark.parametrize(
    ("leaf", "queries"), [("", 1), ("/phase", 1), ("/owner", 1), ("?WAIT=0", 3)]
)
def test_a_job_is_looked_up_once(
    client: FlaskClient, asked: list[str], leaf: str, queries: int
) -> None:
    job = client.post("/demo/async").headers["Location"].removeprefix("http://localhost")
    assert client.get(job).status_code == 200  # its document is written now
    asked.clear()
    assert client.get(job + leaf).status_code == 200
    assert len(asked) == queries, asked
