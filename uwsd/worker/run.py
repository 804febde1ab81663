"""One job, from the claim to the exit record."""

import os
import resource
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .child import Child, adopt_orphans
from .memory import limit, remove
from .processes import identify
from .records import Exit, Leader, Order, Records
from .tree import EVENTS, Tree

_TAKEN = 75  #: exit status of a worker whose job has another one
_NEVER = 1e6  #: seconds
_WELL = Exit("exit", code=0)


def main(workspace: str) -> int:
    """Run the job of this workspace, unless it has a worker already."""
    _settle(workspace)
    records = Records(Path.cwd())
    order = records.order()
    if order is None or not records.claim(identify(os.getpid())):
        return _TAKEN
    records.keep_room()
    ended = _Job(order, records).carry_out()
    start = records.start()
    records.write_exit(ended._replace(started=start and start.at, ended=time.time()))
    return 0


def _settle(workspace: str) -> None:
    """Become independent of whoever started this process, and hold nothing of theirs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, EVENTS)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.umask(0o077)
    os.chdir(workspace)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    adopt_orphans()


class _Job:
    """The job's one or two steps, its clock and its memory."""

    def __init__(self, order: Order, records: Records) -> None:
        self._order = order
        self._records = records
        self._grace = order.grace
        self._begin = time.monotonic()
        self._memory = limit(order.memory, f"uwsd-{records.workspace.name}")

    def carry_out(self) -> Exit:
        """Fetch what is to be fetched, run the command, and say how it ended."""
        ended = self._step("fetch", self._fetch) if self._order.fetch else _WELL
        if ended == _WELL:
            ended = self._step("launch", self._become_command)
        remove(self._memory.group)
        return ended

    def _step(self, name: str, action: Callable[[], None]) -> Exit:
        """Run one process, and whatever comes from it, until nobody is left."""
        child = Child(partial(self._limited, action))
        tree = Tree(child.pid)
        why = self._wait(tree)
        tree.end(self._grace)
        code = os.waitstatus_to_exitcode(tree.status or 0)
        ended = Exit(why, code=code) if code >= 0 else Exit(why, signal=-code)
        if why == "duration":
            message = f"it was stopped when it had run for {self._duration()} s, as long as it may"
            return ended._replace(message=message)
        if why == "exit" and self._memory.was_hit():
            message = f"it was stopped because it used more than {self._order.memory} bytes"
            return ended._replace(why="memory", message=message)
        if why == "exit" and (complaint := child.complaint()):
            return Exit(name, message=complaint)
        return ended

    def _wait(self, tree: Tree) -> str:
        """Wait for the main process to end, or for a reason to end it; return the reason."""
        while tree.status is None:
            # Asked each time and not remembered: the duration may be changed meanwhile.
            remaining = self._remaining()
            if remaining <= 0:
                return "duration"
            event = signal.sigtimedwait(EVENTS, remaining)
            if event and event.si_signo in {signal.SIGTERM, signal.SIGQUIT}:
                self._grace = 0 if event.si_signo == signal.SIGQUIT else self._grace
                return "cancel" if self._records.cancel_file.exists() else "stop"
            tree.reap()
        return "exit"

    def _remaining(self) -> float:
        duration = self._duration()
        return self._begin + duration - time.monotonic() if duration else _NEVER

    def _duration(self) -> int:
        amended = self._records.duration()
        return self._order.duration if amended is None else amended

    def _limited(self, action: Callable[[], None]) -> None:
        # Written down by the leader itself, before anything else of the job can run: a worker
        # that is killed leaves nobody whom its record does not lead to.
        self._records.write_leader(Leader(identify(os.getpid()), self._memory.group))
        self._memory.join()
        action()

    def _fetch(self) -> None:
        # Only here: most jobs have nothing to fetch, and this brings in half of the library.
        from .fetch import fetch  # noqa: PLC0415

        # A command gets this signal's usual meaning; here a peer that hangs up is an error.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for item in self._order.fetch:
            fetch(item.pop("url"), self._records.workspace / item.pop("path"), **item)

    def _become_command(self) -> None:
        program = self._order.command[0]
        os.chdir("outputs")
        try:
            os.execvpe(program, self._order.command, self._order.environment)  # noqa: S606
        except OSError as error:
            raise RuntimeError(f"cannot start {program!r}: {error.strerror}") from None
