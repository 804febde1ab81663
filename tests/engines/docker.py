"""A private Docker engine, from Debian's packages, for as long as the tests last.

With DOCKER_HOST set, the engine there is used instead, and UWSD_TEST_IMAGE names an image on it
that has /bin/sh and the usual commands, such as busybox.
"""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import docker
import pytest
from docker.errors import DockerException

from tests.engines.daemons import Daemons
from tests.needs import lack, need
from uwsd.backends.docker import Options
from uwsd.backends.docker.backend import DockerBackend
from uwsd.worker.processes import descendants, everybody

IMAGE = "uwsd-test:1"

_CONTAINERD = """
version = 2
root = "{folder}/containerd"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
grpc = {{ address = "{folder}/c" }}
"""


@dataclass(frozen=True, kw_only=True)
class DockerEngine:
    """An engine that answers."""

    url: str
    image: str
    daemons: Daemons | None = None  #: none of ours runs somebody else's engine
    gateway: str = ""  #: this machine's address, as containers with a network see it
    folder: Path = field(default_factory=Path)

    @property
    def options(self) -> dict[str, object]:
        """The backend's table in uwsd.toml."""
        return {"type": "docker", "url": self.url, "image": self.image}

    def backend(self, root: Path, **options: object) -> DockerBackend:
        """Make a backend on this engine."""
        told = {"grace": 0.4, **self.options, **options}
        del told["type"]
        return DockerBackend("docker", Options.model_validate(told), root)

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman, which differs in a few things."""
        with self.client() as client:
            return any("Podman" in part["Name"] for part in client.version()["Components"])

    @contextmanager
    def client(self) -> Iterator[docker.APIClient]:
        """Ask the engine directly."""
        client = docker.APIClient(base_url=self.url, version="auto", timeout=60)
        with client:
            yield client

    def kill(self) -> None:
        """End the engine without any notice; no container is."""
        self._own().kill("dockerd")

    def stop(self) -> None:
        """Stop the engine as an administrator does."""
        self._own().stop("dockerd")

    def restart(self) -> None:
        """Start the engine again, if it does not run."""
        self._own().restart("containerd")
        self._own().restart("dockerd")

    def _own(self) -> Daemons:
        assert self.daemons, "somebody else's engine"
        return self.daemons


@contextmanager
def own_engine(*options: str, path: Sequence[Path] = ()) -> Iterator[DockerEngine]:
    """Start an engine of our own; ``path`` comes before its PATH."""
    need("dockerd", "apt-get install docker.io")
    if os.geteuid() != 0:
        lack("an engine of our own needs root; or name one in DOCKER_HOST")
    environment = {**os.environ, "PATH": os.pathsep.join(map(str, (*path, os.environ["PATH"])))}
    with ExitStack() as stack:
        # The socket's path must be short; pytest's folders are not.
        folder = Path(mkdtemp(prefix="uwsd-docker-"))
        stack.callback(_leave_nothing, folder)
        url = f"unix://{folder}/s"
        bridge, gateway = stack.enter_context(_bridge())
        daemons = stack.enter_context(Daemons(folder / "log", environment))
        engine = DockerEngine(url=url, image=IMAGE, daemons=daemons, gateway=gateway, folder=folder)
        stack.callback(_remove_containers, engine)
        config = folder / "containerd.toml"
        config.write_text(_CONTAINERD.format(folder=folder))
        socket = folder / "c"
        command = ("containerd", "--config", str(config))
        daemons.start("containerd", *command, ready=socket.exists)
        # Nothing of the machine's own is touched: no firewall rule, no other engine's bridge.
        daemons.start(
            "dockerd",
            *(
                "dockerd",
                "--host",
                url,
                "--containerd",
                str(socket),
                "--data-root",
                f"{folder}/data",
            ),
            *("--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid", "--bridge", bridge),
            *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
            *("--shutdown-timeout=3", *options),
            ready=lambda: (folder / "s").exists() and _answers(url),
        )
        with engine.client() as client:
            client.import_image_from_data(_busybox(folder), repository="uwsd-test", tag="1")
        yield engine


@contextmanager
def docker_engine() -> Iterator[DockerEngine]:
    """Give the engine that DOCKER_HOST names, or a private one."""
    url = os.environ.get("DOCKER_HOST")
    if url:
        yield DockerEngine(url=url, image=os.environ.get("UWSD_TEST_IMAGE", "busybox:latest"))
        return
    with own_engine() as engine:
        yield engine


@contextmanager
def _bridge() -> Iterator[tuple[str, str]]:
    """Make a bridge of our own, with an address that no other has."""
    number = secrets.randbelow(2**13)
    name = f"uwsd{number:04x}"
    gateway = f"10.{213 + number // 2**12}.{number // 16 % 256}.{number % 16 * 16 + 1}"
    _ip("link", "add", name, "type", "bridge")
    try:
        _ip("address", "add", f"{gateway}/28", "dev", name)
        _ip("link", "set", name, "up")
        yield name, gateway
    finally:
        _ip("link", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)


def _answers(url: str) -> bool:
    with (
        suppress(DockerException, OSError),
        docker.APIClient(base_url=url, version="auto") as client,
    ):
        return bool(client.ping())
    return False


def _busybox(folder: Path) -> bytes:
    """Return the files of an image: one static program, and a name for each thing it can do."""
    busybox = Path(need("busybox", "apt-get install busybox-static"))
    root = folder / "busybox"
    (root / "bin").mkdir(parents=True)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    shutil.copy(busybox.resolve(), root / "bin/busybox")
    for name in subprocess.check_output([busybox, "--list"], text=True).split():
        with suppress(FileExistsError):
            (root / "bin" / name).symlink_to("busybox")
    return subprocess.check_output(["tar", "-C", root, "-c", "."])


def _leave_nothing(folder: Path) -> None:
    """End whoever has to do with the folder, and take away what is mounted in it."""
    while found := [process.pid for process in everybody() if _belongs_to(folder, process.pid)]:
        for pid in (*found, *(child.pid for one in found for child in descendants(one))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if mount.startswith(f"{folder}/")]):
        subprocess.run(["umount", "--lazy", mount], check=False, timeout=20)
    shutil.rmtree(folder, ignore_errors=True)


def _belongs_to(folder: Path, pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return f"{folder}/".encode() in command and pid != os.getpid()


def _remove_containers(engine: DockerEngine) -> None:
    with suppress(DockerException, OSError), engine.client() as client:
        for container in client.containers(all=True):
            client.remove_container(container["Id"], force=True)


@pytest.fixture(scope="module")
def own_docker() -> Iterator[DockerEngine]:
    """A private engine, for tests that break it."""
    with own_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def docker_server() -> Iterator[DockerEngine]:
    """An engine that all tests share."""
    with docker_engine() as engine:
        yield engine
