"""What is asked of Slurm, and what it is told: one command each."""

import logging
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from uwsd.backends.base import BackendError, TaskRefused, Unreachable
from uwsd.backends.slurm.commands import Commands, Failed
from uwsd.backends.slurm.listing import BOOK_FORMAT, QUEUE_FORMAT, Listed, Queue, queued, read_books
from uwsd.backends.slurm.notes import Note
from uwsd.backends.slurm.options import Options

_AT_ONCE = 500  #: ids or names in one question
_SIGNAL = 5.0  #: seconds within which a job that runs can be signalled
_PING = 5.0  #: seconds within which a controller answers to being called

_LATER = re.compile(
    r"MaxSubmit|MaxJobCount|GrpSubmit|try again|sudo: .*(password is required|may not run)"
    r"|No space",
    re.IGNORECASE,
)
"""Refusals of sbatch that may be gone in a while; every other one is for good."""

_NO_BOOKS = re.compile(r"accounting storage is disabled|AccountingStorageType", re.IGNORECASE)
_SAID = re.compile(
    r"(?:^|\b)(?:sbatch|scontrol|scancel): (?:error: )?|Batch job submission failed: "
)
_SETTING = re.compile(r"^(\w+)\s+= (.*?)\s*$", re.MULTILINE)

_log = logging.getLogger(__name__)


class Cluster:
    """A Slurm cluster, as its commands show it."""

    def __init__(self, commands: Commands, options: Options) -> None:
        self._run = commands.run
        self._options = options
        self._keeps_books = True

    def submit(
        self, arguments: Sequence[str], script: str, account: str, keep: Sequence[int]
    ) -> str:
        """Hand a job over, held; return its id.

        Raises `TaskRefused` when Slurm will not have it, and `Unreachable` when it may have it.
        """
        try:
            said = self._run("sbatch", *arguments, account=account, stdin=script, keep=keep)
        except Failed as refusal:
            if _LATER.search(str(refusal)):
                raise
            raise TaskRefused(f"Slurm refused it: {plain(str(refusal))}") from refusal
        id_ = said.strip().partition(";")[
            0
        ]  # behind it is the name of a cluster, if there are many
        if not id_.isdigit():
            raise Unreachable(f"sbatch said {said[:100]!r}, which is no job")
        return id_

    def release(self, note: Note) -> None:
        """Let a job start. One that has ended is left as it is."""
        with suppress(Failed):
            self._run("scontrol", "release", note.id, account=note.account)

    def signal(self, note: Note, name: str) -> None:
        """Signal a job's worker; end the job if that is not possible soon."""
        which = (f"--name={note.key}", f"--signal={name}", "--batch", note.id)
        try:
            self._run("scancel", *which, account=note.account, timeout=_SIGNAL)
        except Failed:  # it does not run
            return
        except Unreachable:
            if trouble := self.trouble():
                raise Unreachable(trouble) from None
            self.cancel(note)  # scancel waits for a job that is suspended

    def cancel(self, note: Note) -> None:
        """End whatever has the job's name: ids are given away again in time."""
        with suppress(Failed):
            self._run("scancel", f"--name={note.key}", account=note.account)

    def cancel_one(self, id_: str, note: Note) -> None:
        """End one of several jobs of a name."""
        with suppress(Failed):
            self._run("scancel", f"--name={note.key}", id_, account=note.account)

    def limit(self, note: Note, minutes: int) -> None:
        """Give a job another limit on time, as far as its account may."""
        time_limit = f"TimeLimit={minutes or 'UNLIMITED'}"
        try:
            self._run("scontrol", "update", f"JobId={note.id}", time_limit, account=note.account)
        except Failed as refusal:
            _log.info("job %s keeps its limit on time: %s", note.id, plain(str(refusal)))

    def queue(self, accounts: Collection[str]) -> Queue:
        """Return all jobs of these accounts that Slurm knows of, also those that have ended."""
        who = f"--user={','.join(sorted(accounts))}" if any(accounts) else "--me"
        asked = time.monotonic()
        text = self._run("squeue", "-h", "-t", "all", who, "-O", QUEUE_FORMAT)
        return Queue.read(text, asked)

    def named(self, names: Collection[str], account: str) -> Iterator[Listed]:
        """Find jobs by name, as their account sees them."""
        for some in _parts(names):
            asked = ("squeue", "-h", "-t", "all", f"--name={','.join(some)}", "-O", QUEUE_FORMAT)
            yield from queued(self._run(*asked, account=account))

    def books(self, ids: Collection[str], account: str) -> Mapping[str, Listed] | None:
        """Return what the accounting knows of jobs that have ended.

        None if it cannot be asked now; nothing, if there is none.
        """
        found: dict[str, Listed] = {}
        try:
            for some in _parts(ids) if self._keeps_books else ():
                found |= read_books(self._sacct(account, f"--jobs={','.join(some)}"))
        except Failed as refusal:
            if not _NO_BOOKS.search(str(refusal)):
                return None
            self._keeps_books = False
        except Unreachable:
            return None
        return found

    def look_up(self, key: str, account: str, since: float) -> list[str]:
        """Return the ids of jobs of this name that may have come since, the first first."""
        ids = {job.id for job in self.named([key], account)}
        begin = time.strftime("%Y-%m-%d", time.gmtime(since - 2 * 86400))
        with suppress(BackendError):  # it only knows of what squeue has forgotten already
            ids |= read_books(self._sacct(account, f"--name={key}", f"--starttime={begin}")).keys()
        return sorted(ids, key=int)

    def trouble(self) -> str | None:
        """Say why no controller answers, or None."""
        try:
            said = self._run("scontrol", "ping", timeout=_PING)
        except Failed as down:
            said = str(down)
        return None if " UP" in said else f"no controller answers: {said.partition(' **')[0]}"

    def settings(self) -> Mapping[str, str]:
        """Return the cluster's configuration."""
        return dict(_SETTING.findall(self._run("scontrol", "show", "config")))

    def _sacct(self, account: str, *which: str) -> str:
        return self._run("sacct", "-X", "-n", "-P", *which, "-o", BOOK_FORMAT, account=account)


def plain(said: str) -> str:
    """Return what a command said without what it puts before it."""
    return _SAID.sub("", said).strip()


def _parts(names: Collection[str]) -> Iterator[list[str]]:
    """Give a few at a time: a command's arguments must not become too long."""
    rest = iter(sorted(names))
    while some := list(islice(rest, _AT_ONCE)):
        yield some
