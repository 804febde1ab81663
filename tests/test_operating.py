"""What docs/operating.md promises: the units start a site, and a restored database harms no job."""

import configparser
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
import requests

from tests.registry.conftest import free_port
from tests.serving import Server, finished, wait_until
from tests.test_docs import ROOT, blocks
from uwsd.config import load

UNITS = ROOT / "examples/sites/systemd"
SITES = sorted((ROOT / "examples/sites").glob("*/uwsd.toml"))
WAIT = """backends.local = { type = "local", slots = 1 }
[services.once]
command = ["sh", "-c", "echo run >>{here}/ledger-$UWSD_JOB_ID; while ! [ -e {here}/go ]; do sleep 0.05; done"]
"""
RUN = {"PHASE": "RUN"}


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.parent.name)
def test_the_examples_are_good(site: Path) -> None:
    settings = load(site, {})
    assert {service.backend for service in settings.services.values()} <= settings.backends.keys()


@contextmanager
def unit(name: str, port: int, data: Path) -> Iterator[None]:
    """Run what a unit starts, as systemd would, and stop it in the same way."""
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[method-assign, assignment]
    read.read(UNITS / name)
    service = read["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    config = service["Environment"].removeprefix("UWSD_CONFIG=")
    assert (config, service["WorkingDirectory"]) == ("/etc/uwsd/uwsd.toml", "/etc/uwsd")
    environment = {
        "PATH": os.environ["PATH"],
        "UWSD_CONFIG": str(ROOT / "examples/sites/local/uwsd.toml"),
        "UWSD_DATA": str(data),
        "UWSD_PORT": f"{port}",
        "UWSD_DATA__RESERVE": "1 MiB",
    }
    command = (str(Path(sys.executable).parent / Path(program).name), *arguments)
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) in (0, -15)


def test_the_units_start_a_site(tmp_path: Path) -> None:
    port = free_port()
    data, url = tmp_path / "data", f"http://127.0.0.1:{port}"
    environment = {"PATH": os.environ["PATH"], "UWSD_DATA": str(data)}
    subprocess.run((sys.executable, "-m", "uwsd", "migrate"), env=environment, check=True)
    with ExitStack() as stack:
        for name in ("uwsd-web.service", "uwsd-supervisor.service"):
            stack.enter_context(unit(name, port, data))
        wait_until(lambda: is_ready(url))
        form = {"FILE": "Hello, sky!", **RUN}
        job = requests.post(f"{url}/digest/async", data=form, timeout=60).url
        assert finished(job) == "COMPLETED"
        said = requests.get(f"{job}/results/stdout", timeout=60).text
        assert said.startswith(sha256(b"Hello, sky!").hexdigest())


def is_ready(url: str) -> bool:
    try:
        return "true</" in requests.get(f"{url}/availability", timeout=60).text
    except requests.ConnectionError:
        return False


def test_a_database_older_than_the_jobs_does_them_no_harm(tmp_path: Path) -> None:
    (tmp_path / "uwsd.toml").write_text(WAIT)
    server = Server(tmp_path / "data", tmp_path / "uwsd.toml").start()

    def create() -> str:
        return requests.post(f"{server.url}/once/async", data=RUN, timeout=60).url

    running, queued = create(), create()
    wait_until(lambda: requests.get(f"{running}/phase", timeout=60).text == "EXECUTING")
    back_up(tmp_path)
    later = create()
    (tmp_path / "go").touch()
    assert [finished(job) for job in (running, queued, later)] == ["COMPLETED"] * 3
    server.stop()
    restore(tmp_path)
    server.start()
    try:
        assert [finished(job) for job in (running, queued)] == ["COMPLETED"] * 2
        assert requests.get(later, timeout=60).status_code == 404
    finally:
        server.stop()
    ledgers = {path.name: path.read_text() for path in tmp_path.glob("ledger-*")}
    jobs = [job.rpartition("/")[2] for job in (running, queued, later)]
    assert ledgers == {f"ledger-{job}": "run\n" for job in jobs}
    assert (tmp_path / "data/jobs" / jobs[-1] / "logs/stdout").exists()


def back_up(folder: Path) -> None:
    """Do it as the document says, without making a database first."""
    (block,) = (b for b in blocks("sh") if "VACUUM" in b.text)
    script = block.text.replace("uwsd migrate", "true")
    subprocess.run(("bash", "-euc", script), cwd=folder, check=True)


def restore(folder: Path) -> None:
    for name in ("uwsd.db-wal", "uwsd.db-shm"):
        (folder / "data" / name).unlink(missing_ok=True)
    (folder / "backup.db").replace(folder / "data/uwsd.db")
