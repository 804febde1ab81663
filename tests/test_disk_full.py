"""A disk that is full: no new jobs, nothing lost, and everything goes on when there is room again."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.needs import lack
from tests.serving import Server, finished, wait_until

SITE = """
[services.greedy]
command = ["sh", "-c", "head -c 100000000 /dev/zero >big; exit 3"]
[services.modest]
command = ["echo", "hello"]
"""
RUN = {"PHASE": "RUN"}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of 24 MB."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        lack("only root can mount a small disk")
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=24m", "none", folder), check=True)
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", folder), check=True)


@contextmanager
def served(tmp_path: Path) -> Iterator[Server]:
    config = tmp_path / "uwsd.toml"
    config.write_text(SITE)
    server = Server(tmp_path / "data", config, UWSD_DATA__RESERVE="8 MiB").start()
    try:
        yield server
    finally:
        server.stop()


def create(url: str, **form: str) -> requests.Response:
    return requests.post(url, data=form, timeout=60)


def assert_no_room(answer: requests.Response) -> None:
    assert answer.status_code == 503
    assert "no room for new jobs" in answer.text
    assert answer.headers["Retry-After"] == "300"


@pytest.fixture
def jobs_on_a_small_disk(tmp_path: Path) -> Iterator[Server]:
    with small_disk(tmp_path / "data/jobs"), served(tmp_path) as server:
        yield server


def test_jobs_that_fill_their_own_disk_end_as_they_do_and_can_be_deleted(
    jobs_on_a_small_disk: Server,
) -> None:
    url = jobs_on_a_small_disk.url
    pending = create(f"{url}/modest/async").url
    greedy = create(f"{url}/greedy/async", **RUN).url
    assert finished(greedy) == "ERROR"
    assert "exit status 3" in requests.get(greedy, timeout=60).text
    assert_no_room(create(f"{url}/modest/async", **RUN))
    assert_no_room(create(f"{pending}/phase", **RUN))
    assert "<vosi:available>false" in requests.get(f"{url}/availability", timeout=60).text
    assert greedy.rpartition("/")[2] in requests.get(f"{url}/greedy/async", timeout=60).text
    requests.delete(greedy, timeout=60).raise_for_status()
    wait_until(lambda: create(f"{pending}/phase", **RUN).ok)
    assert finished(pending) == "COMPLETED"


def test_a_job_that_fills_the_disk_of_the_database_too_is_not_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data") as data, served(tmp_path) as server:
        greedy = create(f"{server.url}/greedy/async", **RUN).url
        big = data / "jobs" / greedy.rpartition("/")[2] / "outputs/big"
        wait_until((big.parents[1] / "run/exit.json").exists)
        assert_no_room(create(f"{server.url}/modest/async", **RUN))
        assert requests.get(f"{server.url}/greedy/async", timeout=60).ok
        big.unlink()
        assert finished(greedy) == "ERROR"
        assert "exit status 3" in requests.get(greedy, timeout=60).text
        assert finished(create(f"{server.url}/modest/async", **RUN).url) == "COMPLETED"
        assert list(data.glob(".supervisor.json-*")) == []
