"""The commands as real processes: signals, terminals, exit statuses."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.client.conftest import NewServer
from tests.client.otherserver import OtherServer

COMMAND = (
    sys.executable,
    "-c",
    "import click; from uwsd.client.commands import COMMANDS; click.Group(commands=COMMANDS)()",
)
TEXT = "text/plain"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("submit", "{list}", "--wait"), "uwsd wait"), (("logs", "-f", "{job}"), "uwsd logs")],
)
def test_ctrl_c_leaves_the_job_alone_and_says_how_to_come_back(
    new_server: NewServer, arguments: tuple[str, ...], hint: str
) -> None:
    server = new_server()
    job = server.add("EXECUTING", results={"stdout": (TEXT, b"")})
    words = [word.format(list=server.joblist, job=job) for word in arguments]
    process = subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    server.wait_for_request("GET", "/svc/async/[12]", count=2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"the job goes on: {hint}" in err
    assert "Traceback" not in err
    if "submit" in words:
        assert out == f"{server.joblist}/2\n"
    assert {work.phase for work in server.jobs.values()} == {"EXECUTING"}


def test_a_terminal_never_sees_control_characters_of_the_server(new_server: NewServer) -> None:
    server = new_server()
    log = b"\x1b]0;owned\x07 50%\r100%\r\n\xff\xc2\x9b31m \xe2\x80\xae tab\there\n"
    job = server.add("ERROR", results={"stdout": (TEXT, log)}, error="bo\x9bom")
    shown = "\\x1b]0;owned\\x07 50%\r\n100%\r\n\\xff\\x9b31m \\u202e tab\there\r\n"
    assert on_terminal("logs", job) == (0, shown)
    assert on_terminal("fetch", job, "-o", "-") == (0, shown)
    status, text = on_terminal("wait", job)
    assert status == 1
    assert "bo\\x9bom" in text
    assert "\x9b" not in text


def test_a_terminal_gets_a_table_with_the_whole_url(
    new_server: NewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_server()
    job = server.add("HELD")
    status, text = on_terminal("jobs", server.joblist)
    assert status == 0
    assert "a\\tb" in text
    assert job in text
    assert "┃" in text
    monkeypatch.setenv("COLUMNS", "40")
    assert "…" not in on_terminal("jobs", server.joblist)[1]


def test_a_terminal_shows_a_job_live(new_server: NewServer) -> None:
    server = new_server()
    job = server.add("COMPLETED")
    status, text = on_terminal("wait", job)
    assert status == 0
    assert "COMPLETED" in text
    assert "0:00:00" in text


def test_a_reader_that_leaves_early_is_no_disaster(new_server: NewServer) -> None:
    server: OtherServer = new_server()
    job = server.add(results={"stdout": (TEXT, b"line\n" * 200_000)})
    process = subprocess.Popen(
        [*COMMAND, "logs", job], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=20)
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def on_terminal(*arguments: str) -> tuple[int, str]:
    """Run a command with all its streams on a terminal; return its status and what it showed."""
    parent, child = pty.openpty()
    environment = {"COLUMNS": "100", **os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=child, stdout=child, stderr=child, env=environment
    )
    os.close(child)
    shown = b""
    try:
        while part := os.read(parent, 65536):
            shown += part
    except OSError:  # how a terminal says that nobody is left to write to it
        pass
    os.close(parent)
    return process.wait(timeout=20), shown.decode()
