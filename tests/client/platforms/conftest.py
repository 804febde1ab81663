"""A site, a searchable registry that has harvested it, and registries that misbehave."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.registry.conftest import Site, running
from tests.registry.regtap import Registry, serving


class Said(NamedTuple):
    """What a registry that is none answers."""

    content: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    pace: float = 0.0  #: seconds between two bytes


Answering = Callable[[Callable[[str], Said]], str]
"""Serve what a function says to each path and query; give the URL."""


@pytest.fixture(autouse=True)
def _own_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("IVOA_REGISTRY", raising=False)


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(Site(tmp_path_factory.mktemp("registry"))) as site:
        yield site


@pytest.fixture(scope="package")
def regtap(site: Site) -> Iterator[str]:
    tables = Registry()
    tables.harvest(f"{site.url}/oai")
    with serving(tables) as url:
        yield url


@pytest.fixture
def answering() -> Iterator[Answering]:
    ended = threading.Event()
    with ExitStack() as stack:

        def start(say: Callable[[str], Said]) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    said = say(self.path)
                    self.send_response(said.status)
                    for name, value in said.headers:
                        self.send_header(name, value)
                    self.end_headers()
                    if not said.pace:
                        self.wfile.write(said.content.encode())
                        return
                    for byte in said.content.encode():
                        if ended.wait(said.pace):
                            return
                        self.wfile.write(bytes((byte,)))

                def log_message(self, *_: object) -> None:
                    pass

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            stack.callback(server.server_close)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            stack.callback(ended.set)
            return f"http://127.0.0.1:{server.server_address[1]}"

        yield start
