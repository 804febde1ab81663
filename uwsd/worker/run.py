"""One job, from the claim to the exit record."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .child import Child, adopt_orphans
from .memory import limit, own_group, remove
from .processes import identify
from .records import Exit, Leader, Order, Records
from .sharing import open_up
from .tree import EVENTS, Tree

_TAKEN = 75  #: exit status of a worker whose job has another one
_NEVER = 1e6  #: seconds
_LOOK_AGAIN = 10.0  #: seconds between two looks at the limits, where nobody can tell of new ones
_WELL = Exit("exit", code=0)


def main(workspace: str, *words: str) -> int:
    """Run the job of this workspace, unless it has a worker already.

    An engine that has started this worker tells in ``words`` where it is, such as ``host=n1``;
    ``restart=2``: it has begun the job twice before. Its books are then given the job's exit
    status.
    """
    _settle(workspace)
    records = Records(Path.cwd())
    order = records.order()
    where = dict(word.split("=", 1) for word in words)
    restart = int(where.get("restart") or 0)
    if order is None or (restart and not records.set_aside(restart)):
        return _TAKEN
    if not records.claim(identify(os.getpid()), where):
        return _TAKEN
    records.keep_room()
    ended = _Job(order, records).carry_out()
    if order.remote and not records.is_claimed_by(identify(os.getpid())):
        return _TAKEN
    if order.shared:
        open_up(records.workspace)
    start = records.start()
    records.write_exit(ended._replace(started=start and start.at, ended=time.time()))
    return _status(ended) if order.remote else 0


def _status(ended: Exit) -> int:
    """Return an exit status that tells of the job's end what a number can."""
    if ended.why != "exit":
        return 1
    return 128 + ended.signal if ended.signal else ended.code or 0


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
        self._pause = _LOOK_AGAIN if order.remote else _NEVER
        self._me = identify(os.getpid())
        # An engine has set its own, on a group that is the job's alone.
        name = f"uwsd-{records.workspace.name}"
        self._memory = own_group() if order.remote else limit(order.memory, name)

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
            return ended._replace(why="memory", message=self._too_much())
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
            event = signal.sigtimedwait(EVENTS, min(remaining, self._pause))
            if event and event.si_signo in {signal.SIGTERM, signal.SIGQUIT}:
                self._grace = 0 if event.si_signo == signal.SIGQUIT else self._grace
                return "cancel" if self._records.cancel_file.exists() else "stop"
            if self._is_dismissed():
                return "cancel"
            tree.reap()
        return "exit"

    def _is_dismissed(self) -> bool:
        """Whether the job is not ours any more, where an engine may be unable to tell."""
        return self._order.remote and (
            self._records.cancel_file.exists() or not self._records.is_claimed_by(self._me)
        )

    def _remaining(self) -> float:
        duration = self._duration()
        return self._begin + duration - time.monotonic() if duration else _NEVER

    def _duration(self) -> int:
        amended = self._records.duration()
        return self._order.duration if amended is None else amended

    def _too_much(self) -> str:
        most = f"{self._order.memory} bytes" if self._order.memory else "it may"
        return f"it was stopped because it used more memory than {most}"

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
        inherited = {n: os.environ[n] for n in self._order.inherit if n in os.environ}
        environment = {**inherited, **self._order.environment}
        os.chdir("outputs")
        try:
            os.execvpe(program, self._order.command, environment)  # noqa: S606
        except OSError as error:
            raise RuntimeError(f"cannot start {program!r}: {error.strerror}") from None
