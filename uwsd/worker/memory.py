"""Limits on memory: a control group where there is one to be had, a resource limit elsewhere."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


class Limit:
    """What keeps the processes of one job from using more memory than they may.

    By itself it is a limit for each process: asking for more fails, which the program has to
    bear. It counts private writable memory, and not address space, which many runtimes reserve
    and never use.
    """

    group = ""  #: the folder of the control group, if there is one

    def __init__(self, size: int) -> None:
        self._size = size

    def join(self) -> None:
        """Put this process, and all that come from it, under the limit."""
        if self._size:
            resource.setrlimit(resource.RLIMIT_DATA, (self._size, self._size))

    def was_hit(self) -> bool:
        """Say whether anybody is known to have been killed for going over it."""
        return False


class GroupLimit(Limit):
    """A limit for all processes together; the kernel kills whoever goes over it."""

    def __init__(self, group: Path, values: Mapping[str, int], events: str) -> None:
        self.group = str(group)
        self._events = group / events
        group.mkdir()
        try:
            for name, value in values.items():
                (group / name).write_text(str(value), encoding="ascii")
        except OSError:
            remove(self.group)
            raise

    def join(self) -> None:
        """Put this process, and all that come from it, into the group."""
        (Path(self.group) / "cgroup.procs").write_text("0", encoding="ascii")

    def was_hit(self) -> bool:
        """Say whether the kernel has killed anybody for going over it."""
        return _kills(self._events) > 0


class OwnGroup(Limit):
    """The limit that an engine has set on the group that this process is in."""

    def __init__(self, events: Path | None) -> None:
        super().__init__(0)
        self._events = events
        self._before = _kills(events) if events else 0

    def was_hit(self) -> bool:
        """Say whether the kernel has killed anybody in the group since this was made."""
        return self._events is not None and _kills(self._events) > self._before


def limit(size: int, name: str) -> Limit:
    """Return the best limit to be had here for ``size`` bytes (0: none), called ``name``."""
    for parent, values, events in _places(size) if size else ():
        with suppress(OSError):
            return GroupLimit(parent / name, values, events)
    return Limit(size)


def own_group() -> Limit:
    """Return the limit of the group that this process is in, as far as it can be seen."""
    for line in _memberships():
        _, controllers, path = line.split(":", 2)
        below = path.lstrip("/")
        if "memory" in controllers.split(","):
            events = _ROOT / "memory" / below / "memory.oom_control"
        else:
            events = _ROOT / below / "memory.events"
        if events.exists():
            return OwnGroup(events)
    return OwnGroup(None)


def _memberships() -> list[str]:
    return Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()


def _kills(events: Path) -> int:
    """Return how many processes of a group the kernel has killed for want of memory."""
    lines = map(str.split, events.read_text(encoding="ascii").splitlines())
    return sum(int(count) for name, count in lines if name == "oom_kill")


def members(group: str) -> list[int]:
    """Return the pids of those in a control group; nobody is in one that is not there."""
    with suppress(FileNotFoundError):
        return [int(pid) for pid in Path(group, "cgroup.procs").read_text("ascii").split()]
    return []


def remove(group: str) -> None:
    """Remove a control group if it is there and nobody is in it."""
    with suppress(OSError):
        Path(group).rmdir()


def _places(size: int) -> Iterator[tuple[Path, Mapping[str, int], str]]:
    """Find groups that may be given a child with a limit, and what makes the limit there."""
    for line in _memberships():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):  # version 1
            yield _ROOT / f"memory{path}", {"memory.limit_in_bytes": size}, "memory.oom_control"
        # In version 2 a group that holds processes can have no such child. Its parent can, if
        # the administrator has handed it over, which systemd (Delegate=) notes as an attribute.
        parent = (_ROOT / path.lstrip("/")).parent
        if not controllers and _is_delegated(parent):
            values = {"memory.max": size, "memory.swap.max": 0, "memory.oom.group": 1}
            yield parent, values, "memory.events"


def _is_delegated(group: Path) -> bool:
    try:
        return os.getxattr(group, "user.delegate") == b"1"
    except OSError:
        return False
