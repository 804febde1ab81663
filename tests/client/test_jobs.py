"""``uwsd jobs``, ``abort`` and ``delete``."""

import json

import pytest

from tests.client.conftest import NewServer, Uwsd


def test_a_pipe_gets_a_line_a_job_with_tabs_between(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server()
    job = server.add("ERROR")
    run = uwsd("jobs", f"{server.home}/svc")
    assert (run.exit_code, run.stdout) == (0, f"ERROR\t\ta\\tb\t{job}\n")


def test_json_has_all_there_is(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server(prefix="")
    job = server.add("HELD")
    run = uwsd("jobs", server.joblist, "--json")
    assert json.loads(run.stdout) == [
        {"url": job, "id": "1", "phase": "HELD", "run_id": "a\tb", "owner": None, "created": None}
    ]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_phases_are_picked_on_any_server(new_server: NewServer, uwsd: Uwsd, version: str) -> None:
    server = new_server(version=version)
    for phase in ("ERROR", "COMPLETED", "ABORTED"):
        server.add(phase)
    run = uwsd("jobs", server.joblist, "--phase", "error", "--phase", "ABORTED")
    assert [line.split("\t")[0] for line in run.stdout.splitlines()] == ["ERROR", "ABORTED"]


def test_the_filters_are_asked_of_the_server(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server()
    uwsd("jobs", server.joblist, "--last", "3", "--after", "2026-11-24", "--phase", "HELD")
    assert server.seen[-1].query == [
        ("PHASE", "HELD"),
        ("AFTER", "2026-11-24T00:00:00.000Z"),
        ("LAST", "3"),
    ]


def test_without_a_service_the_lists_of_the_platform_are_read(
    new_server: NewServer, uwsd: Uwsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_server()
    job = server.add()
    monkeypatch.setenv("UWSD_URL", server.home)
    assert uwsd("jobs").stdout.rstrip().endswith(job)


def test_a_list_that_is_not_shown_is_a_refusal(new_server: NewServer, uwsd: Uwsd) -> None:
    run = uwsd("jobs", new_server(private_list=True).joblist)
    assert run.exit_code == 4
    assert "403 Forbidden: none of your business" in run.stderr


@pytest.mark.parametrize(
    "wrong", [["--after", "yesterday"], ["--phase", "DONE"], ["--last", "0"]], ids=str
)
def test_wrong_filters_are_wrong_usage(uwsd: Uwsd, wrong: list[str]) -> None:
    assert uwsd("jobs", "http://127.0.0.1:9/async", *wrong).exit_code == 2


def test_a_job_is_stopped_and_then_removed(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server()
    job = server.add("EXECUTING")
    assert uwsd("abort", job).exit_code == 0
    assert server.jobs["1"].phase == "ABORTED"
    assert uwsd("delete", job).exit_code == 0
    assert server.jobs == {}
    assert uwsd("delete", job).exit_code == 4
