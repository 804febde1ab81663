"""What a job says of its progress, in a file of its own: the number and the words in its last line.

``0.25 reading the survey``, ``25% reading the survey`` and ``0.25`` alone are understood. The job
may write anything there, at any time, and replace the file by anything: little of it is read, no
link is followed, and what is not understood is as if it had said nothing.
"""

import os
import re
import stat
from pathlib import Path

from uwsd.backends.base import PROGRESS, Progress

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TAIL = 512  # bytes that are looked at
_LONGEST = 100  # characters of words
_LINE = re.compile(
    r"""
      \s* (?P<number> ([0-9]{1,20} (\.[0-9]{0,20})? | \.[0-9]{1,20}) ([eE][+-]?[0-9]{1,3})? )
      \s* (?P<percent> % )?
      (\s+ (?P<words> .*))?
    """,
    re.ASCII | re.VERBOSE,
)


def read_progress(workspace: Path) -> Progress | None:
    """Return what the job in this workspace said last, or None."""
    try:
        lines = _tail(workspace / PROGRESS)
    except OSError:
        return None
    return _understood(next((line for line in reversed(lines) if line.strip()), ""))


def last_line(path: Path) -> str:
    """Return the last line of a file that a job may have written, short and legible."""
    try:
        lines = _tail(path)
    except OSError:
        return ""
    return _legible(next((line for line in reversed(lines) if line.strip()), ""))


def _tail(path: Path) -> list[str]:
    """Return the last lines of a regular file, as far as they are whole."""
    descriptor = os.open(path, _OPEN)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return []  # a second link may be the name of somebody else's file
        start = max(0, status.st_size - _TAIL)
        lines = os.pread(descriptor, _TAIL, start).decode(errors="replace").split("\n")
    finally:
        os.close(descriptor)
    return lines[1:] if start else lines


def _understood(line: str) -> Progress | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    number = float(match["number"]) / (100 if match["percent"] else 1)
    if not 0 <= number <= 1:
        return None
    return Progress(fraction=number, activity=_legible(match["words"] or ""))


def _legible(words: str) -> str:
    """Return one line without control characters, nor those that turn text around."""
    plain = "".join(c if c.isprintable() else " " for c in words[: 2 * _LONGEST])
    return " ".join(plain.split())[:_LONGEST].rstrip()
