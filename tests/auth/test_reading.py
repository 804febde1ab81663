"""What a GET of a job costs: it is asked for thousands of times a second."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from uwsd.app import create_app, stop_waiting
from uwsd.config import BUNDLED, load
from uwsd.migrations import migrate
from uwsd.site import open_database
from uwsd.uws.resources.blueprint import EXTENSION

HOST = {"HTTP_HOST": "localhost", "SERVER_PORT": "80"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
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
def test_a_job_is_looked_up_once(client: FlaskClient, leaf: str, queries: int) -> None:
    job = client.post("/demo/async").headers["Location"].removeprefix("http://localhost")
    assert client.get(job).status_code == 200  # its document is written now
    statements: list[str] = []
    store = client.application.extensions[EXTENSION].store
    event.listen(
        store._database.engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: statements.append(statement),
    )
    assert client.get(job + leaf).status_code == 200
    assert len(statements) == queries, statements
