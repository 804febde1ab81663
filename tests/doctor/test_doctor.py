"""``uwsd doctor`` as an administrator types it, on real engines that work."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.serving import Server, at_work_in, finished, wait_until

PROMISES = {"answer", "run", "workspace", "logs", "environment", "clock", "file-times"} | {
    "time-limit",
    "memory-limit",
    "cancel",
    "release",
}
COMMAND = (sys.executable, "-m", "uwsd", "doctor")


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*COMMAND, *words),
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.timeout(600)
def test_an_engine_that_works_keeps_every_promise(site: Path) -> None:
    done = doctor("--config", str(site), "--json")
    said = json.loads(done.stdout)
    found = {f["what"]: f for f in said["findings"] if f["place"] == "engine"}
    broken = [f for f in said["findings"] if f["mark"] == "broken"]
    assert (broken, said["good"], done.returncode) == ([], True, 0)
    assert {name for name in PROMISES if found[name]["mark"] != "good"} <= {"memory-limit"}
    assert found.keys() == PROMISES | {"account", "network"}
    assert all((f["mark"] == "good") is (f["fix"] == "") for f in said["findings"])
    jobs = site.parent / "data/jobs"
    assert [path for path in jobs.iterdir() if "doctor" in path.name] == []


def test_people_get_a_list_and_the_fix_below(site: Path) -> None:
    done = doctor("--config", str(site), UWSD_SERVER__HOST="0.0.0.0")
    assert done.returncode == 1
    assert "  good     a job that is cancelled stops\n" in done.stdout
    assert "\n           fix: set server.base_url to the public URL\n" in done.stdout
    assert done.stdout.endswith(" 1 broken\n")


def test_a_backend_that_is_not_there_is_named(site: Path) -> None:
    done = doctor("--config", str(site), "--backend", "engin")
    assert done.returncode == 2
    assert "engin is no backend here; known: engine" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    jobs = tmp_path / "data/jobs"
    jobs.mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "UWSD_DATA": str(tmp_path / "data")}
    with subprocess.Popen(COMMAND, env=environment, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: list(jobs.glob("doctor-*-time-limit/run/command.json")))
        process.send_signal(number)
        assert process.wait(30) != 0
    assert list(jobs.iterdir()) == []
    assert at_work_in(jobs) == []


def test_beside_a_server_it_neither_waits_nor_lets_wait(tmp_path: Path) -> None:
    config = tmp_path / "uwsd.toml"
    config.write_text(
        """backends.local = { type = "local", slots = 1 }
services.wait.command = ["sh", "-c", "while ! [ -e {here}/go ]; do sleep 0.05; done"]
"""
    )
    server = Server(tmp_path / "data", config).start()
    try:
        form = {"PHASE": "RUN"}
        first, second = (
            requests.post(f"{server.url}/wait/async", data=form, timeout=60).url for _ in "12"
        )
        wait_until(lambda: requests.get(f"{first}/phase", timeout=60).text == "EXECUTING")
        done = doctor("--config", str(config), "--json", UWSD_DATA=str(tmp_path / "data"))
        assert done.returncode == 0, done.stdout
        supervisor = next(
            f for f in json.loads(done.stdout)["findings"] if f["what"] == "supervisor"
        )
        assert supervisor["mark"] == "good"
        assert requests.get(f"{second}/phase", timeout=60).text == "QUEUED"
        (tmp_path / "go").touch()
        assert [finished(job) for job in (first, second)] == ["COMPLETED"] * 2
    finally:
        (tmp_path / "go").touch()
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_account_than_the_server_s_touches_nothing(site: Path) -> None:
    data = site.parent / "data"
    os.chown(data, 65534, 65534)
    done = doctor("--config", str(site))
    assert done.returncode == 1
    assert "fix: sudo -u nobody uwsd doctor" in done.stdout
    assert "engine" not in done.stdout
    assert list(data.iterdir()) == []
