"""A private PostgreSQL server, from Debian's packages, for as long as the tests last."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.needs import lack

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A data folder of PostgreSQL, and how to run a server on it."""

    folder: Path
    as_user: tuple[str, ...]
    options: tuple[str, ...]

    @property
    def url(self) -> str:
        """Where a server that runs on it can be reached."""
        return f"postgresql+psycopg://uwsd@/postgres?host={self.folder}"

    @property
    def server(self) -> tuple[str, ...]:
        """The command of a server that stays in the foreground."""
        program = str(BINARIES[-1] / "postgres")
        return (*self.as_user, program, "-D", str(self.folder / "data"), *self.options)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the data folder."""
        command = (*self.as_user, str(BINARIES[-1] / program), "-D", str(self.folder / "data"))
        command = (*command, *arguments)
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, timeout=60)


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """Make a new cluster; no server runs on it."""
    if not BINARIES:
        lack("PostgreSQL is not installed; apt-get install postgresql")
    with TemporaryDirectory(prefix="uwsd-postgresql-") as name:
        # Not below pytest's folder: that is closed to the user who runs the server.
        folder = Path(name)
        as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "postgres")
            as_user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        fsync = f"fsync={'on' if durable else 'off'}"
        options = ("-k", name, "-c", "listen_addresses=", "-c", fsync)
        made = Cluster(folder=folder, as_user=as_user, options=options)
        made.run("initdb", "-A", "trust", "-U", "uwsd", "--no-sync", "-E", "UTF8")
        yield made


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[str]:
    """Start a server that listens on a socket in a folder of its own; give its URL."""
    with cluster(durable=durable) as made:
        log = str(made.folder / "log")
        made.run("pg_ctl", "-l", log, "-w", "-o", " ".join(made.options), "start")
        try:
            yield made.url
        finally:
            made.run("pg_ctl", "-w", "-m", "immediate", "stop")


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Make an empty database on the server at ``url``; give its URL, and drop it afterwards."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    conninfo = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield url.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
