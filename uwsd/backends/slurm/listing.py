"""What squeue and sacct print, read: one line a job, in fields that nothing in them can break."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

_SQUEUE = (
    *("JobID", "Name", "State", "RestartCnt", "exit_code", "StartTime", "EndTime", "BatchHost"),
    "Reason",  # the last: nobody knows what its words hold
)
QUEUE_FORMAT = ",".join(f"{name}:|" for name in _SQUEUE)
"""For ``squeue -O``, where ``|`` ends a field and none is cut; ``-o`` cannot tell of restarts."""

BOOK_FORMAT = "JobIDRaw,JobName,State,ExitCode,Start,End,NodeList"
"""For ``sacct -P -o``."""

_BOOK_FIELDS = BOOK_FORMAT.count(",") + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One job, as Slurm tells of it."""

    id: str
    name: str
    state: str
    restarts: int = 0
    code: int | None = None  #: of the batch script, once it has exited by itself
    signal: int | None = None  #: what killed the batch script
    started: float | None = None  #: seconds since 1970; of a job that waits: when it may start
    ended: float | None = None
    node: str = ""
    reason: str = ""


class Queue:
    """All that squeue listed at one moment."""

    def __init__(self, jobs: Iterable[Listed], asked: float) -> None:
        self.asked = asked  #: when the question was put, on the monotonic clock
        self._jobs: dict[str, Listed] = {}
        self._names: dict[str, list[Listed]] = defaultdict(list)
        self.add(jobs)

    @classmethod
    def read(cls, text: str, asked: float) -> Self:
        """Read what squeue printed in `QUEUE_FORMAT`."""
        return cls(queued(text), asked)

    def add(self, jobs: Iterable[Listed]) -> None:
        """Put jobs beside those that were listed."""
        for job in jobs:
            self._jobs[job.id] = job
            self._names[job.name].append(job)

    def find(self, id_: str, name: str) -> Listed | None:
        """Return the job of this id if it has this name: ids are given to others in time."""
        job = self._jobs.get(id_)
        return job if job is not None and job.name == name else None

    def __iter__(self) -> Iterator[Listed]:
        """Give every job."""
        return iter(self._jobs.values())

    def called(self, name: str) -> list[Listed]:
        """Return all jobs of a name, the first that came first."""
        return sorted(self._names.get(name, ()), key=lambda job: _number(job.id))


def queued(text: str) -> Iterator[Listed]:
    """Read what squeue printed in `QUEUE_FORMAT`, line by line."""
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|", len(_SQUEUE) - 1)]
        if len(fields) == len(_SQUEUE) and fields[0].isdigit():
            id_, name, state, restarts, status, started, ended, node, reason = fields
            code, signal = _status(status)
            yield Listed(
                id=id_,
                name=name,
                state=state,
                restarts=_number(restarts),
                code=code,
                signal=signal,
                started=_time(started),
                ended=_time(ended),
                node=_node(node),
                reason=reason.rstrip("|"),
            )


def read_books(text: str) -> Mapping[str, Listed]:
    """Read what sacct printed in `BOOK_FORMAT`: by id, only jobs that are known to have ended.

    Right after slurmdbd is back it tells of a job as FAILED that has no end yet: that is none.
    """
    books = {}
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) == _BOOK_FIELDS and fields[0].isdigit():
            id_, name, state, status, started, ended, node = fields
            if _time(ended) is not None:
                code, signal = _status(status)
                books[id_] = Listed(
                    id=id_,
                    name=name,
                    state=state,
                    code=code,
                    signal=signal,
                    started=_time(started),
                    ended=_time(ended),
                    node=_node(node),
                )
    return books


def _status(text: str) -> tuple[int | None, int | None]:
    """Return exit code and signal: of ``3:0``, or of the 768 of waitpid(2) that squeue prints."""
    match = re.fullmatch(r"(\d+)(?::(\d+))?", text)
    if match is None:
        return None, None
    number = int(match[1])
    if match[2] is None:
        code, signal = number >> 8, number & 0x7F
    else:
        code, signal = number, int(match[2])
    return (None, signal) if signal else (code, None)


def _node(text: str) -> str:
    return "" if text in ("n/a", "(null)", "None assigned") else text


def _time(text: str) -> float | None:
    """Return a time; None for ``N/A``, ``Unknown`` and their like."""
    return float(text) if text.isdigit() and text != "0" else None


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
