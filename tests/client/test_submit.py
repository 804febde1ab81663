"""``uwsd submit`` and ``uwsd wait``, against a server that is not uwsd."""

import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from pyvo.dal import AsyncTAPJob

from tests.client.conftest import NewServer, Uwsd
from tests.client.otherserver import OtherServer, Work

DONE = Work("", phase="COMPLETED", results={"result": ("text/csv", b"a,b\n1,2\n")})


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"version": "1.0"},
        {"prefix": ""},
        {"prefix": "u:"},
        {"relative": True},
        {"sizes": False},
        {"ranges": False},
        {"private_list": True},
        {"extra": "<uws:executionDuration/><uws:creationTime>1+00:00</uws:creationTime>"},
    ],
    ids=str,
)
def test_a_job_goes_all_the_way_on_any_server(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path, quirks: dict[str, object]
) -> None:
    server = new_server(finish=DONE, **quirks)
    run = uwsd("submit", f"{server.home}/svc", "X=1", "--download", str(tmp_path))
    assert (run.exit_code, run.stdout) == (0, f"{server.joblist}/1\n")
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == b"a,b\n1,2\n"
    assert path.suffix == ("" if quirks.get("version") == "1.0" else ".csv")


@pytest.mark.parametrize(
    "trouble", [{"drop": 1}, {"busy": 1}, {"busy": 2, "retry_after": "0"}, {"cut": 1}], ids=str
)
def test_trouble_on_the_way_is_overcome(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path, trouble: dict[str, object]
) -> None:
    server = new_server(finish=DONE, **trouble)
    run = uwsd("submit", server.joblist, "--download", str(tmp_path))
    assert run.exit_code == 0, run.stderr
    assert (tmp_path / "result.csv").read_bytes() == b"a,b\n1,2\n"
    assert len(server.jobs) == 1


def test_pyvo_takes_over_a_job_that_was_submitted(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server(finish=DONE)
    job = AsyncTAPJob(uwsd("submit", server.joblist).stdout.strip(), delete=False)
    assert job.phase == "COMPLETED"
    assert job.result_uri == f"{server.joblist}/1/results/0"


@pytest.mark.parametrize(
    ("phase", "status"), [("COMPLETED", 0), ("ERROR", 1), ("ABORTED", 3), ("ARCHIVED", 3)]
)
def test_the_exit_status_says_how_the_job_ended(
    new_server: NewServer, uwsd: Uwsd, phase: str, status: int
) -> None:
    server = new_server(finish=Work("", phase=phase))
    assert uwsd("submit", server.joblist, "--wait").exit_code == status
    assert uwsd("wait", f"{server.joblist}/1").exit_code == status


def test_a_failed_job_leaves_its_files_and_its_message(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    failed = Work("", phase="ERROR", results={"stderr": ("text/plain", b"!")}, error="no \x85space")
    run = uwsd("submit", new_server(finish=failed).joblist, "--download", str(tmp_path))
    assert run.exit_code == 1
    assert "ERROR no \\x85space" in run.stderr
    assert (tmp_path / "stderr.txt").read_bytes() == b"!"


def test_what_is_asked_for_arrives(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server()
    uwsd("submit", server.joblist, "A=x=y", "A=@z", "--run-id", "my run", "--duration", "7")
    create, duration, run = [one for one in server.seen if one.method == "POST"]
    assert parse_qsl(create.body.decode()) == [("A", "x=y"), ("A", "@z"), ("RUNID", "my run")]
    assert (duration.path, duration.body) == (
        "/svc/async/1/executionduration",
        b"EXECUTIONDURATION=7",
    )
    assert (run.path, run.body) == ("/svc/async/1/phase", b"PHASE=RUN")


def test_a_file_is_sent_along_under_its_own_name_without_its_folder(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path
) -> None:
    server = new_server()
    (tmp_path / "table.csv").write_bytes(b"\x00\xffcontent")
    run = uwsd("submit", server.joblist, "A=1", "--file", f"INPUT={tmp_path / 'table.csv'}")
    assert run.exit_code == 0
    body = next(one for one in server.seen if one.method == "POST").body
    assert b'name="INPUT"; filename="table.csv"\r\n' in body
    assert b"\x00\xffcontent" in body


def test_a_job_that_is_not_run_stays_pending(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server()
    assert uwsd("submit", server.joblist, "--no-run").exit_code == 0
    assert server.jobs["1"].phase == "PENDING"
    assert uwsd("submit", server.joblist, "--no-run", "--wait").exit_code == 2


def test_a_name_is_a_service_of_the_platform(
    new_server: NewServer, uwsd: Uwsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_server()
    monkeypatch.setenv("UWSD_URL", f"{server.home}/")
    assert uwsd("submit", "svc").stdout == f"{server.joblist}/1\n"


@pytest.mark.parametrize(
    "service", ["ftp://host/x", "a b", "host:80/svc", "http:///x", "http://[x/y", "http://h:99999/"]
)
def test_what_is_no_url_is_wrong_usage(uwsd: Uwsd, service: str) -> None:
    assert uwsd("submit", service).exit_code == 2


def test_what_is_no_uws_is_said_to_be_none(new_server: NewServer, uwsd: Uwsd) -> None:
    run = uwsd("submit", f"{new_server().home}/nothing")
    assert run.exit_code == 5
    assert "is no UWS job list" in run.stderr


def test_a_server_that_is_not_there_is_said_so_at_once(uwsd: Uwsd) -> None:
    began = time.monotonic()
    run = uwsd("submit", "http://127.0.0.1:9/x")
    assert time.monotonic() - began < 3
    assert run.exit_code == 5
    assert "cannot be reached: [Errno 111] Connection refused" in run.stderr


def test_a_refusal_is_shown_without_its_control_characters(
    new_server: NewServer, uwsd: Uwsd
) -> None:
    run = uwsd("submit", new_server().joblist, "REFUSE=1")
    assert (run.exit_code, run.stdout) == (4, "")
    assert "403 Forbidden: \\x1b]0;owned\\x07over quota" in run.stderr


def test_a_job_is_not_created_twice_when_the_answer_is_lost(
    new_server: NewServer, uwsd: Uwsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_server(drop=1)
    monkeypatch.setenv("UWSD_URL", server.home)
    run = uwsd("submit", "svc")  # a name needs no GET: the POST is the one that is dropped
    assert run.exit_code == 5
    assert "it may have taken the request all the same" in run.stderr
    assert [one.method for one in server.seen] == ["POST"]


def test_a_creation_put_off_by_retry_after_is_sent_again(
    new_server: NewServer, uwsd: Uwsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_server(busy=1)
    monkeypatch.setenv("UWSD_URL", server.home)
    assert uwsd("submit", "svc").exit_code == 0
    assert [one.path for one in server.seen] == ["/svc/async"] * 2 + ["/svc/async/1/phase"]


def test_a_server_that_is_busy_for_long_is_not_waited_for(
    new_server: NewServer, uwsd: Uwsd
) -> None:
    server = new_server(busy=1, retry_after="3600")
    run = uwsd("submit", server.joblist)
    assert run.exit_code == 5
    assert "503 Service Unavailable: too much to do" in run.stderr


def test_waiting_holds_the_line_and_tells_each_change(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server()
    job = server.add("QUEUED")
    thread = threading.Thread(target=_go_through, args=(server, job))
    thread.start()
    run = uwsd("wait", job)
    thread.join()
    assert run.exit_code == 0
    assert run.stderr.splitlines() == ["QUEUED", "EXECUTING", "COMPLETED"]
    assert [dict(one.query) for one in server.seen] == [
        {},
        {"WAIT": "1", "PHASE": "QUEUED"},
        {"WAIT": "1", "PHASE": "EXECUTING"},
    ]


def test_the_line_is_held_longer_each_time(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server()
    job = server.add("EXECUTING")
    thread = threading.Thread(target=_end_at_the_fourth_look, args=(server, job))
    thread.start()
    run = uwsd("wait", job)
    thread.join()
    assert (run.exit_code, run.stderr.split()) == (0, ["EXECUTING", "COMPLETED"])
    assert [dict(one.query).get("WAIT") for one in server.seen] == [None, "1", "2", "3"]


def test_a_phase_that_cannot_be_waited_in_is_not_asked_about_in_a_rush(
    new_server: NewServer, uwsd: Uwsd
) -> None:
    server = new_server()
    job = server.add("HELD")
    timer = threading.Timer(1.5, server.move, (job, "ABORTED"))
    timer.start()
    assert uwsd("wait", job).exit_code == 3
    timer.join()
    assert len(server.seen) <= 6


def test_a_server_without_wait_is_asked_again_and_not_too_often(
    new_server: NewServer, uwsd: Uwsd
) -> None:
    server = new_server(version="1.0")
    job = server.add("EXECUTING")
    timer = threading.Timer(2, server.move, (job, "COMPLETED"))
    timer.start()
    run = uwsd("wait", job)
    timer.join()
    assert run.exit_code == 0
    assert [one.query for one in server.seen] == [[]] * len(server.seen)
    assert 3 <= len(server.seen) <= 5


def test_a_job_that_is_deleted_meanwhile_ends_the_waiting(
    new_server: NewServer, uwsd: Uwsd
) -> None:
    server = new_server(version="1.0")
    job = server.add("EXECUTING")
    thread = threading.Thread(target=_delete_when_asked, args=(server,))
    thread.start()
    run = uwsd("wait", job)
    thread.join()
    assert run.exit_code == 4
    assert "404" in run.stderr


def _go_through(server: OtherServer, job: str) -> None:
    server.wait_for_request("GET", "/svc/async/1", count=2)
    server.move(job, "EXECUTING")
    server.wait_for_request("GET", "/svc/async/1", count=3)
    server.move(job, "COMPLETED")


def _end_at_the_fourth_look(server: OtherServer, job: str) -> None:
    server.wait_for_request("GET", "/svc/async/1", count=4)
    server.move(job, "COMPLETED")


def _delete_when_asked(server: OtherServer) -> None:
    server.wait_for_request("GET", "/svc/async/1")
    server.jobs.clear()
