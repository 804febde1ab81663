"""Processes as /proc shows them, and how to know one again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process that no other can be taken for: a pid alone is soon given to somebody else."""

    pid: int
    since: int  #: when it started, in clock ticks after the machine did
    boot: str  #: which start of the machine that was


NOBODY = Process(0, 0, "")


class Status(NamedTuple):
    """One line of the process table, see proc_pid_stat(5)."""

    pid: int
    state: str  #: a letter; Z has ended and waits for its parent to notice
    parent: int
    group: int
    session: int
    since: int


def status(pid: int) -> Status:
    """Read how ``pid`` is now; raises `ProcessLookupError` if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise ProcessLookupError(pid) from None
    # The second field is the program's name, which may hold anything, also ") ".
    fields = text[text.rindex(")") + 2 :].split()
    parent, group, session = map(int, fields[1:4])
    return Status(pid, fields[0], parent, group, session, int(fields[19]))


def everybody() -> Iterator[Status]:
    """Read the whole process table."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(ProcessLookupError):
                yield status(int(entry.name))


def identify(pid: int) -> Process:
    """Return who has this pid now; raises `ProcessLookupError` if nobody has."""
    return Process(pid, status(pid).since, boot())


def boot() -> str:
    """Return the identity of the machine's present run."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def open_process(process: Process) -> int | None:
    """Return a pidfd of exactly this process, or None if it is no more."""
    if process == NOBODY:
        return None
    descriptor = None
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        if identify(process.pid) == process:
            return descriptor
    if descriptor is not None:
        os.close(descriptor)
    return None


def descendants(ancestor: int) -> list[Status]:
    """Return the children of ``ancestor``, and theirs, and so on."""
    table = list(everybody())
    found: list[Status] = []
    generation = {ancestor}
    while children := [s for s in table if s.parent in generation]:
        found += children
        generation = {s.pid for s in children}
    return found
