"""``uwsd logs``."""

import threading

import pytest

from tests.client.conftest import NewServer, Uwsd
from tests.client.otherserver import OtherServer

TEXT = "text/plain"


def test_each_stream_goes_to_its_own_as_it_is(new_server: NewServer, uwsd: Uwsd) -> None:
    results = {"stdout": (TEXT, b"out\x1b[1m\xff"), "stderr": (TEXT, b"err"), "x": (TEXT, b"no")}
    run = uwsd("logs", new_server().add("EXECUTING", results=results))
    assert (run.exit_code, run.stdout_bytes, run.stderr) == (0, b"out\x1b[1m\xff", "err")


@pytest.mark.parametrize("result_id", ["log", "job.log", "LOG", "stdout"])
def test_a_log_of_another_name_is_found(new_server: NewServer, uwsd: Uwsd, result_id: str) -> None:
    job = new_server(version="1.0").add(results={"catalog": (TEXT, b"no"), result_id: (TEXT, b"l")})
    assert uwsd("logs", job).stdout == "l"


def test_without_a_log_the_error_is_shown(new_server: NewServer, uwsd: Uwsd) -> None:
    run = uwsd("logs", new_server().add("ERROR", error="it broke"))
    assert (run.exit_code, run.stdout) == (0, "detail: it broke\n")


def test_a_job_that_failed_before_it_could_log_shows_why(new_server: NewServer, uwsd: Uwsd) -> None:
    empty = {"stdout": (TEXT, b""), "stderr": (TEXT, b"")}
    run = uwsd("logs", new_server().add("ERROR", error="it broke", results=empty))
    assert (run.exit_code, run.stdout) == (0, "detail: it broke\n")


def test_a_log_that_is_only_expected_is_empty_until_it_is_there(
    new_server: NewServer, uwsd: Uwsd
) -> None:
    server = new_server(lacking=1)
    job = server.add("QUEUED", results={"stdout": (TEXT, b"one\n")})
    assert (uwsd("logs", job).exit_code, uwsd("logs", job).stdout) == (0, "one\n")


def test_where_there_is_no_log_it_is_said(new_server: NewServer, uwsd: Uwsd) -> None:
    run = uwsd("logs", new_server().add("QUEUED"))
    assert run.exit_code == 4
    assert "(QUEUED) has no log" in run.stderr


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("cut", [0, 1])
def test_following_gives_each_byte_once_until_the_job_is_over(
    new_server: NewServer, uwsd: Uwsd, ranges: bool, cut: int
) -> None:
    server = new_server(ranges=ranges, cut=cut)
    job = server.add("EXECUTING", results={"stdout": (TEXT, b"one\n")})
    thread = threading.Thread(target=_write_more, args=(server, job, cut))
    thread.start()
    run = uwsd("logs", "--follow", job)
    thread.join()
    assert (run.exit_code, run.stdout) == (0, "one\ntwo\nthree\n")


def _write_more(server: OtherServer, job: str, cut: int) -> None:
    server.wait_for_request("GET", ".*/results/0")
    server.move(job, "EXECUTING", results={"stdout": (TEXT, b"one\ntwo\n")})
    server.wait_for_request("GET", ".*/results/0", count=3 + (cut > 0))
    server.move(job, "COMPLETED", results={"stdout": (TEXT, b"one\ntwo\nthree\n")})
