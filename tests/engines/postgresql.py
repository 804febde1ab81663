"""A private PostgreSQL server, from Debian's packages, for as long as the tests last."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.needs import lack

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[str]:
    """Start a server that listens on a socket in a folder of its own; give its URL."""
    if not BINARIES:
        lack("PostgreSQL is not installed; apt-get install postgresql")
    with TemporaryDirectory(prefix="uwsd-postgresql-") as folder:
        # Not below pytest's folder: that is closed to the user who runs the server.
        yield from _serve(Path(folder), durable)


def _serve(folder: Path, durable: bool) -> Iterator[str]:
    as_user: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "postgres")
        as_user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    data, log = folder / "data", folder / "log"

    def run(program: str, *arguments: str) -> None:
        command = (*as_user, str(BINARIES[-1] / program), *arguments)
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=60)

    run("initdb", "-D", str(data), "-A", "trust", "-U", "uwsd", "--no-sync", "-E", "UTF8")
    options = f"-k {folder} -c listen_addresses= -c fsync={'on' if durable else 'off'}"
    run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://uwsd@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")


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
