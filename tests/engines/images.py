"""An image with the agnpy example in it, for engines that run containers: made here, fetched nowhere.

It has two layers: Debian 12 with its Python, by debootstrap; and the example's folder with its
environment, at the path of this checkout, so that the services in examples/agnpy/uwsd.toml run in it
as they are. Both are made once a machine, in the user's cache folder.
"""

import fcntl
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING

from tests.examples.running import EXAMPLE
from tests.needs import lack, need

if TYPE_CHECKING:
    from docker import DockerClient

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uwsd/engines/images"

TAG = "uwsd.test/agnpy:1"
"""A name of no registry: nobody can try to pull it."""

_PYTHON = "python3.11"  # Debian 12's
_VENV = EXAMPLE / ".venv"
_UNUSED = (
    *("./dev/", "./proc/", "./sys/", "./tmp/", "./var/cache/", "./var/lib/apt/", "./var/log/"),
    *("./usr/share/doc/", "./usr/share/i18n/", "./usr/share/locale/", "./usr/share/man/"),
)


def layers() -> tuple[Path, Path]:
    """Return the tar archives of Debian and of the example; the second goes on top of the first."""
    with _alone():
        return _debian(), _example()


def docker_import(client: "DockerClient", tag: str = TAG) -> None:
    """Give the image to a Docker daemon; that takes a while, and so the client needs patience."""
    with _archive(tag) as archive:
        client.images.load(archive)


def containerd_import(socket: Path, tag: str = TAG, namespace: str = "k8s.io") -> None:
    """Give the image to containerd, where a kubelet looks for it."""
    command = ("ctr", "--address", str(socket), "--namespace", namespace, "images", "import", "-")
    with _archive(tag) as archive:
        subprocess.run(command, stdin=archive, check=True, capture_output=True)


@contextmanager
def _archive(tag: str) -> Iterator[IO[bytes]]:
    """Open an image as ``docker save`` would write it, and whoever speaks of images reads it."""
    made = layers()
    config = {
        "architecture": _output("dpkg", "--print-architecture"),
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}" for layer in made]},
    }
    names = [layer.name for layer in made]
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": names}]
    with TemporaryFile(dir=CACHE) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for name, content in (("manifest.json", manifest), ("config.json", config)):
                _add(tar, tarfile.TarInfo(name), json.dumps(content).encode())
            for layer in made:
                tar.add(layer, layer.name)
        file.seek(0)
        yield file


def _debian() -> Path:
    return _made("debian-12", "python3", _write_debian)


def _write_debian(layer: Path) -> None:
    debootstrap = need("debootstrap", "apt-get install debootstrap")
    if os.geteuid() != 0:
        lack("only root can make an image with debootstrap")
    with TemporaryDirectory(dir=CACHE) as root:
        options = ("--variant=minbase", "--include=python3")
        subprocess.run((debootstrap, *options, "bookworm", root), check=True, capture_output=True)
        with tarfile.open(layer, "w") as tar:
            tar.add(root, ".", filter=lambda m: None if m.name.startswith(_UNUSED) else m)


def _example() -> Path:
    files = ("requirements.lock", "sed.py", "sed.ipynb", "uwsd.toml")
    content = sha256(b"".join((EXAMPLE / name).read_bytes() for name in files)).hexdigest()
    place = sha256(str(EXAMPLE).encode()).hexdigest()[:8]
    return _made(f"agnpy-{place}", content, _write_example)


def _write_example(layer: Path) -> None:
    if not (_VENV / "lib" / _PYTHON).is_dir():
        lack(
            f"examples/agnpy/.venv is not for the image's {_PYTHON}; make example PYTHON={_PYTHON}"
        )
    with tarfile.open(layer, "w") as tar:
        for folder in reversed(EXAMPLE.parents[:-1]):
            tar.add(folder, str(folder)[1:], recursive=False, filter=_for_all)
        tar.add(EXAMPLE, str(EXAMPLE)[1:], filter=_for_all)
        config = tarfile.TarInfo(str(_VENV / "pyvenv.cfg")[1:])
        _add(tar, config, b"home = /usr/bin\ninclude-system-site-packages = false\n")


def _for_all(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Let everybody read it, whoever a container runs as; and let the interpreter be the image's."""
    if member.name == str(_VENV / "pyvenv.cfg")[1:]:
        return None
    if member.issym() and member.linkname.startswith("/"):
        member.linkname = f"/usr/bin/{_PYTHON}"
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    is_program = member.isdir() or member.mode & 0o100
    member.mode |= 0o555 if is_program else 0o444
    return member


def _made(name: str, content: str, write: Callable[[Path], None]) -> Path:
    """Return the layer of this content; make it if it is not there, and let older ones go."""
    recipe = sha256(Path(__file__).read_bytes() + content.encode()).hexdigest()[:12]
    layer = CACHE / f"{name}-{recipe}.tar"
    if not layer.exists():
        draft = layer.with_suffix(".part")
        write(draft)
        for older in CACHE.glob(f"{name}-*.tar*"):
            older.unlink()
        draft.rename(layer)
    return layer


def _digest(layer: Path) -> str:
    known = layer.with_suffix(".tar.sha256")
    if not known.exists():
        with layer.open("rb") as file:
            known.write_text(file_digest(file, "sha256").hexdigest())
    return known.read_text()


@contextmanager
def _alone() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
    member.size = len(content)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(content))


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
