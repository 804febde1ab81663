"""What is done in the place of a worker that died: its processes are ended, its record written."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from . import memory
from .processes import Process, Status, boot, everybody, open_process
from .records import Exit, Leader, Records, Start

_PATIENCE = 1.0  #: seconds for killed processes to be gone
_PAUSE = 0.01


def bury(job: Records, start: Start) -> Exit | None:
    """Write the exit record of a job whose worker has gone without.

    First everybody that it has left behind is killed. None if some are still there after a
    second; then nothing is written.
    """
    leader = job.leader()
    if leader and not _end(leader, job.workspace.name):
        return None
    why = "lost" if start.worker.boot == boot() else "restart"
    if job.cancel_file.exists():
        why = "cancel"
    ending = Exit(why, started=start.at if leader else None, ended=time.time())
    job.write_exit(ending)
    return ending


def _end(leader: Leader, job_id: str) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while left := _left_behind(leader, job_id):
        if time.monotonic() > deadline:
            return False
        for process in left:
            _kill(process)
        time.sleep(_PAUSE)
    memory.remove(leader.group)
    return True


def _left_behind(leader: Leader, job_id: str) -> list[Process]:
    """Find who is in the session of the command, in its control group, or runs in its name."""
    if leader.process.boot != boot():
        return []
    table = list(everybody())
    found = _session(leader.process, table) | set(memory.members(leader.group))
    return [
        Process(status.pid, status.since, leader.process.boot)
        for status in table
        if status.state != "Z" and (status.pid in found or _is_in_the_name_of(job_id, status.pid))
    ]


def _session(leader: Process, table: list[Status]) -> set[int]:
    """Return the session that ``leader`` opened, or nobody if its number means another by now.

    The number is not given away while anybody is in the session: a process that has it as its
    pid and is not the leader therefore shows that everybody was gone before.
    """
    if any(status.pid == leader.pid and status.since != leader.since for status in table):
        return set()
    return {status.pid for status in table if status.session == leader.pid}


def _is_in_the_name_of(job_id: str, pid: int) -> bool:
    # A task may say so in its environment; it finds those who have left the session.
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it is gone, or belongs to another user
        return False
    return f"UWSD_JOB_ID={job_id}".encode() in environment


def _kill(process: Process) -> None:
    descriptor = open_process(process)
    if descriptor is not None:
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)
