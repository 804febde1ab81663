"""Two servers: the bundled services, and a site that has what they have not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.asking import Service
from tests.serving import Server

SITE = Path(__file__).parent / "site"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The site of `site/uwsd.toml`."""
    data = tmp_path_factory.mktemp("odd") / "data"
    site = Server(data, SITE / "uwsd.toml", PYTHONPATH=str(ROOT)).start()
    yield site
    assert site.stop() == 0, site.log
    assert "Traceback" not in site.log


@pytest.fixture(params=["demo", "checksum", "spectrum"])
def service(request: pytest.FixtureRequest, server: Server, site: Server) -> Service:
    """Each kind of service: a command, one that takes a file, a Python function."""
    match request.param:
        case "demo":
            return Service(
                url=f"{server.url}/demo",
                fields={"TEXT": "a <b> & ü"},
                failing={"EXIT": "3"},
                changed=("TEXT", "another"),
            )
        case "checksum":
            return Service(
                url=f"{server.url}/checksum",
                fields={"FILE": "some text"},
                failing={"FILE": "http://127.0.0.1:9/none"},
                changed=("FILE", "another"),
            )
        case _:
            return Service(
                url=f"{site.url}/spectrum",
                fields={"table": "1 2.5", "scale": "2", "label": "a <b> & ü"},
                failing={"fail": "true"},
                changed=("label", "another"),
            )
