"""A private ssh server on loopback that lets us in with a key of its own."""

import os
import pwd
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.engines.daemons import Daemons
from tests.needs import lack, need

_INSTALL = "apt-get install openssh-server openssh-client"


@contextmanager
def sshd() -> Iterator[list[str]]:
    """Start a server; give the words that make ssh run a command there."""
    server = "/usr/sbin/sshd"
    if not Path(server).exists():
        lack(f"sshd is not installed; {_INSTALL}")
    need("ssh", _INSTALL)
    if os.geteuid() == 0:  # it wants a folder for those who are not let in yet
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with TemporaryDirectory(prefix="uwsd-sshd-") as name, Daemons(Path(name) / "log") as daemons:
        folder = Path(name)
        for key in ("host", "mine"):
            command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
            subprocess.run(command, check=True)
        port = _free_port()
        options = {
            "ListenAddress": f"127.0.0.1:{port}",
            "HostKey": folder / "host",
            "AuthorizedKeysFile": folder / "mine.pub",
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PermitRootLogin": "prohibit-password",
        }
        words = [f"-o{option}={value}" for option, value in options.items()]
        daemons.start("sshd", server, "-D", "-e", "-f", "/dev/null", *words, ready=_answers(port))
        user = pwd.getpwuid(os.geteuid()).pw_name
        trust = (
            "-oStrictHostKeyChecking=no",
            f"-oUserKnownHostsFile={folder}/known",
            "-oBatchMode=yes",
        )
        yield [
            "ssh",
            "-F",
            "none",
            "-q",
            "-p",
            str(port),
            "-i",
            f"{folder}/mine",
            *trust,
            f"{user}@127.0.0.1",
        ]


def _answers(port: int) -> Callable[[], bool]:
    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return answers


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def ssh() -> Iterator[list[str]]:
    """Words that make ssh run a command on this machine."""
    with sshd() as words:
        yield words
