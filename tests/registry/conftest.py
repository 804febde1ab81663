"""A site that publishes its records."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.serving import Server, wait_until
from uwsd.database import Database
from uwsd.registry.store import RecordStore, Selection

SITE = (Path(__file__).parents[2] / "registry" / "site.toml").read_text()

RECORD = """\
<ri:Resource xmlns:ri="http://www.ivoa.net/xml/RegistryInterface/v1.0" status="active"
 xmlns:vr="http://www.ivoa.net/xml/VOResource/v1.0"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="vr:Resource">
<title>Text {text} &amp; ü</title><identifier>ivo://org.example.uwsd/{name}</identifier>
<curation><publisher>Somebody</publisher><contact><name>Somebody</name></contact></curation>
<content><subject>virtual-observatories</subject><description>A record</description>
<referenceURL>https://www.example.org/</referenceURL></content></ri:Resource>
"""
"""A record without dates, for `str.format`."""


class Site:
    """A server with a registry folder of its own, and a URL that is known before it starts."""

    def __init__(
        self, folder: Path, config: Path | None = None, *, about: str = SITE, **environment: str
    ) -> None:
        self.folder = folder / "registry"
        self.folder.mkdir(parents=True)
        self.write("site.toml", about)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.server = Server(
            folder / "data",
            config,
            UWSD_PORT=str(port),
            UWSD_SERVER__BASE_URL=self.url,
            UWSD_REGISTRY__FOLDER=str(self.folder),
            UWSD_SUPERVISOR__TICK="0.1",
            **environment,
        )

    def write(self, name: str, text: str) -> None:
        draft = self.folder / f".{name}"
        draft.write_text(text)
        draft.replace(self.folder / name)

    def start(self) -> "Site":
        self.server.start()
        wait_until(lambda: self.ask("verb=Identify").status_code == 200)
        return self

    def published(self) -> dict[str, bytes | None]:
        """Return what is in the store: each record, and None for a deleted one."""
        database = Database.in_file(self.server.data / "uwsd.db")
        with RecordStore(database).reading() as reading:
            records = reading.page(Selection(), after=0, size=10**6)
        database.close()
        return {record.identifier: record.document for record in records}

    def ask(self, query: str) -> requests.Response:
        return requests.get(f"{self.url}/oai?{query}", timeout=60)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(site: Site) -> Iterator[Site]:
    """Start a site; it has to end well."""
    try:
        yield site.start()
    finally:
        ended = site.server.stop()
    assert ended == 0, site.server.log
    assert "Traceback" not in site.server.log


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that no test changes."""
    with running(Site(tmp_path_factory.mktemp("registry"))) as site:
        yield site
