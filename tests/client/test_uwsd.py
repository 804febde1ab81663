"""The client and uwsd's own server, as two strangers that keep to the standard."""

from pathlib import Path

import pytest

from tests.client.conftest import Uwsd
from tests.serving import Server


def test_a_job_is_submitted_by_name_followed_fetched_and_deleted(
    server: Server, uwsd: Uwsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UWSD_URL", server.url)
    job = uwsd("submit", "demo", "--run-id", "mine").stdout.strip()
    assert job.startswith(f"{server.url}/demo/async/")
    followed = uwsd("logs", "--follow", job)
    assert followed.exit_code == 0, followed.stderr
    assert uwsd("wait", job).exit_code == 0
    assert f"mine\t{job}\n" in uwsd("jobs", "demo", "--phase", "completed").stdout
    fetched = uwsd("fetch", job, "-o", str(tmp_path))
    assert fetched.exit_code == 0, fetched.stderr
    assert "stdout.txt" in {path.name for path in tmp_path.iterdir()}
    assert uwsd("fetch", job, "stdout", "-o", "-").stdout == followed.stdout
    assert uwsd("delete", job).exit_code == 0
    assert uwsd("wait", job).exit_code == 4


def test_what_the_server_refuses_is_told_in_its_words(uwsd: Uwsd, demo: str) -> None:
    run = uwsd("abort", f"{demo}/00000000-0000-4000-8000-000000000000")
    assert run.exit_code == 4
    assert "404" in run.stderr
