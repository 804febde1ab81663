"""What a job says of its progress is foreign: little of it is read, and less is believed."""

import os
from pathlib import Path

import pytest

from uwsd.backends.base import Progress
from uwsd.backends.progress import read_progress

UNDERSTOOD = [
    (b"0.25 reading the survey\n", 0.25, "reading the survey"),
    (b"0.1 first\n0.25 second\n\n", 0.25, "second"),
    (b"25% half way\tthere", 0.25, "half way there"),
    (b"  25 %\r\n", 0.25, ""),
    (b"1", 1, ""),
    (b"1. done", 1, "done"),
    (b".5", 0.5, ""),
    (b"5e-05 just begun", 0.00005, "just begun"),
    (b"0.5 <b>&amp;]]>", 0.5, "<b>&amp;]]>"),
    (b"0.5 a\0b\x1b[2J\x07c \xe2\x80\xaed \xff", 0.5, "a b [2J c d \ufffd"),
    (b"0.5 " + b"x" * 200, 0.5, "x" * 100),
    (b"0.1 " + b"y" * 10_000 + b"\n0.2 z", 0.2, "z"),
]
NOT_UNDERSTOOD = [
    *(b"", b"\n\n", b"reading", b"nan", b"NaN x", b"inf", b"-0.5", b"1.5", b"101%", b"1e999"),
    b"a line that is too long" + b" 0.5" * 300,
    *(b"0.5reading", b"0,5", b"0x1", b"1" * 400, b"9" * 100_000, b"\xff\xfe", b"\0" * 1000),
    "٠.٥".encode(),
]


@pytest.mark.parametrize(("content", "fraction", "activity"), UNDERSTOOD)
def test_the_last_line_is_a_number_and_words(
    content: bytes, fraction: float, activity: str, tmp_path: Path
) -> None:
    (tmp_path / "progress").write_bytes(content)
    assert read_progress(tmp_path) == Progress(fraction=fraction, activity=activity)


@pytest.mark.parametrize("content", NOT_UNDERSTOOD, ids=lambda c: repr(c[:20]))
def test_anything_else_is_as_if_it_said_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "progress").write_bytes(content)
    assert read_progress(tmp_path) is None


def test_a_file_of_any_size_is_read_at_its_end_alone(tmp_path: Path) -> None:
    with (tmp_path / "progress").open("wb") as file:
        file.truncate(2**40)
        file.seek(2**40)
        file.write(b"\n0.75 at the end")
    assert read_progress(tmp_path) == Progress(fraction=0.75, activity="at the end")


@pytest.mark.parametrize("kind", ["link", "second link", "fifo", "folder", "nothing", "device"])
def test_what_is_no_file_of_the_job_s_own_is_not_read(kind: str, tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "progress"
    other.write_text("0.5 secret")
    match kind:
        case "link":
            path.symlink_to(other)
        case "second link":
            path.hardlink_to(other)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
    assert read_progress(tmp_path) is None
