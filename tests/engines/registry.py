"""A private registry of images, from Debian's package, on loopback."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.engines.daemons import Daemons
from tests.engines.docker import DockerEngine
from tests.needs import need

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = """
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry that engines on this machine may pull from."""

    host: str
    daemons: Daemons

    def push(self, engine: DockerEngine, image: str, name: str, tag: str) -> str:
        """Put an image of the engine into the registry, and off the engine; return its digest."""
        there = f"{self.host}/{name}"
        with engine.client() as client:
            client.tag(image, there, tag)
            said = list(client.push(there, tag, stream=True, decode=True))
            client.remove_image(f"{there}:{tag}")
        return str(next(line["aux"]["Digest"] for line in said if "aux" in line))

    def move(self, name: str, tag: str, to: str) -> None:
        """Let a tag be what another one is, without any engine's knowing."""
        manifests = f"http://{self.host}/v2/{name}/manifests"
        manifest = requests.get(f"{manifests}/{to}", headers={"Accept": _MANIFEST}, timeout=20)
        headers = {"Content-Type": _MANIFEST}
        put = requests.put(f"{manifests}/{tag}", manifest.content, headers=headers, timeout=20)
        put.raise_for_status()


@contextmanager
def registry_in(folder: Path) -> Iterator[Registry]:
    """Start a registry whose files are in ``folder``."""
    need("docker-registry", "apt-get install docker-registry")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    host = f"127.0.0.1:{port}"
    config = folder / "registry.yml"
    config.write_text(_CONFIG.format(folder=folder, port=port))
    with Daemons(folder / "log") as daemons:
        daemons.start(
            "registry", "docker-registry", "serve", str(config), ready=lambda: _answers(host)
        )
        yield Registry(host=host, daemons=daemons)


def _answers(host: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"http://{host}/v2/", timeout=5).ok
    return False
