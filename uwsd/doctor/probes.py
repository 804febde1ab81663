"""The table of probes: small jobs, each with what it shows when it is over.

Jobs need nothing but a POSIX shell and what every image has; what is missing there is told.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from uwsd.backends.base import Report, State
from uwsd.doctor.findings import Finding, broken, good, warning

SIGN = "outputs/beat"
"""What a job makes that is to be cancelled, so that it is known to run."""

_SKEW = 2.0  #: seconds by which clocks may differ, since some tell whole seconds only
_CONFUSING = 60.0  #: seconds by which they differ so much that people are misled
_LOOK = """
: >began
[ -r ../inputs/nonce ] || exit 81
cat ../inputs/nonce >nonce || exit 82
cat /proc/$$/environ >environ
id -u >account
date +%s >clock
echo "out $1"
echo "err $1" >&2
cat /proc/net/dev >interfaces 2>/dev/null
if [ -z "$2" ]; then echo nowhere; false
elif command -v bash >/dev/null; then timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/9"' "$2"
elif command -v wget >/dev/null; then timeout 5 wget -O /dev/null "http://$2:9/"
elif command -v nc >/dev/null; then timeout 5 nc -v "$2" 9 </dev/null
else echo nothing; false
fi >knock 2>&1 && echo open >>knock
exit 0
"""
_BEAT = f"while :; do echo . >>../{SIGN}; sleep 0.1; done"
_HOG = "head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a probe's job when it is over."""

    report: Report
    workspace: Path
    nonce: str
    environment: Mapping[str, str]  #: what the job was to get
    began: float  #: seconds since 1970, at the hand-over
    ended: float  #: when the job was known to be over
    secret: str  #: a variable of this process, which no job must see
    grows: bool = False  #: whether something still wrote after the end

    def read(self, path: str) -> str | None:
        """Return what the job wrote to a file of its workspace, or None."""
        try:
            return (self.workspace / path).read_text("utf-8", errors="replace")
        except OSError:
            return None

    def time(self, path: str) -> float | None:
        """Return when a file was written, by the clock of whoever keeps it."""
        try:
            return (self.workspace / path).stat().st_mtime
        except OSError:
            return None

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = "" if self.report.exit_code is None else f" with exit status {self.report.exit_code}"
        message = f": {self.report.message}" if self.report.message else ""
        return f"{self.report.state.name}{code}{message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A job, and what to make of it."""

    name: str  #: what it is about, as in findings
    script: str  #: for /bin/sh; its arguments are the nonce and an address of this machine
    judge: Callable[[Evidence], Iterator[Finding]]
    duration: int = 300  #: seconds; nothing that is left by accident goes on for long
    memory: int = 0
    cancelled: bool = False  #: whether to cancel it as soon as `SIGN` is there
    vital: frozenset[str] = frozenset()
    """Findings without which, all good, the other probes are not worth a try."""


def _look(seen: Evidence) -> Iterator[Finding]:
    state, code = seen.report.state, seen.report.exit_code
    if code == 81:
        yield broken("workspace", "a job does not see what is put into its inputs/")
    elif code == 82:
        yield broken("workspace", "a job cannot write to its outputs/")
    elif state is not State.DONE:
        yield broken("run", f"a job that only looks around ended as {seen.end}")
    else:
        for judge in (_run, _workspace, _logs, _environment, _account, _clock, _files, _network):
            yield judge(seen)


def _run(seen: Evidence) -> Finding:
    # Both times are by the clock of the folder, so that no other matters.
    handed, first = seen.time("inputs/nonce"), seen.time("outputs/began")
    if handed is None or first is None:
        return good("run", "a job runs and ends")
    return good("run", f"a job runs, {max(0.0, first - handed):.2f} s after it is handed over")


def _workspace(seen: Evidence) -> Finding:
    if seen.read("outputs/nonce") == seen.nonce:
        return good("workspace", "a job reads its inputs/, and what it writes to outputs/ is here")
    return broken("workspace", "what a job writes to its outputs/ does not come here")


def _logs(seen: Evidence) -> Finding:
    said = {name: seen.read(f"logs/{name}") for name in ("stdout", "stderr")}
    if said == {"stdout": f"out {seen.nonce}\n", "stderr": f"err {seen.nonce}\n"}:
        return good("logs", "what a job prints arrives, stdout and stderr apart")
    return broken("logs", f"what a job prints does not arrive as it was printed: {said}"[:300])


def _environment(seen: Evidence) -> Finding:
    lines = (seen.read("outputs/environ") or "").split("\0")
    has = dict(line.partition("=")[::2] for line in lines if line)
    if seen.secret in has:
        return broken("environment", "a job gets the environment of the server, secrets and all")
    wrong = sorted(n for n, value in seen.environment.items() if has.get(n) != value)
    if wrong:
        return broken("environment", f"a job does not get what its task names: {', '.join(wrong)}")
    added = sorted(has.keys() - seen.environment.keys())
    more = f"; the engine adds {', '.join(added)}" if added else ""
    return good("environment", f"a job gets the environment of its task{more}")


def _account(seen: Evidence) -> Finding:
    uid = (seen.read("outputs/account") or "").strip()
    if uid == "0":
        return warning("account", "jobs run as root")
    return good("account", f"jobs run as the account with number {uid}")


def _clock(seen: Evidence) -> Finding:
    text = (seen.read("outputs/clock") or "").strip()
    if not text.isdecimal():
        return warning("clock", f"a job does not know what time it is: {text[:40]!r}")
    return _compared("clock", "the clock where jobs run", int(text), seen, whole=1.0)


def _files(seen: Evidence) -> Finding:
    at = seen.time("outputs/nonce")
    if at is None:
        return warning("file-times", "no file of the job's is there to look at")
    return _compared("file-times", "the clock of the jobs' folder", at, seen)


def _compared(what: str, clock: str, at: float, seen: Evidence, whole: float = 0.0) -> Finding:
    """Compare a time with ours; it was read between hand-over and end, to ``whole`` seconds."""
    behind, before = seen.began - (at + whole), at - seen.ended
    if max(behind, before) <= _SKEW:
        return good(what, f"{clock} is in step with this machine's")
    way = "behind" if behind > before else "before"
    found = f"{clock} is at least {max(behind, before):.0f} s {way}"
    make = broken if max(behind, before) > _CONFUSING else warning
    return make(what, f"{found} this machine's ({datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ})")


def _network(seen: Evidence) -> Finding:
    knock = seen.read("outputs/knock") or ""
    names = {line.partition(":")[0].strip() for line in _lines(seen.read("outputs/interfaces"))}
    if names and names <= {"lo"}:
        return good("network", "a job that may not use the network has none")
    if "refused" in knock or "open" in knock:  # a refusal has travelled both ways
        return warning("network", "a job that may not use the network reaches this machine by it")
    if any(word in knock for word in ("nothing", "nowhere", "not found", "option")):
        return warning("network", "nobody can tell whether a job reaches the network")
    return good("network", "a job that may not use the network does not reach this machine by it")


def _lines(text: str | None) -> list[str]:
    return [line for line in (text or "").splitlines() if ":" in line]


def _time_limit(seen: Evidence) -> Iterator[Finding]:
    if seen.report.state is State.EXCEEDED:
        took = seen.ended - seen.began
        yield good(
            "time-limit", f"a job that may run for 1 s was over {took:.0f} s after hand-over"
        )
    else:
        yield broken("time-limit", f"a job that ran for longer than its 1 s ended as {seen.end}")


def _memory_limit(seen: Evidence) -> Iterator[Finding]:
    if seen.report.state is State.EXCEEDED:
        yield good("memory-limit", "a job that uses more memory than it may is stopped")
    elif seen.report.state is State.FAILED:
        yield warning(
            "memory-limit",
            "more memory than a job may use is refused to each of its processes, not to all "
            f"together, and its end does not tell: {seen.end}",
        )
    else:
        yield broken("memory-limit", "a job used three times the memory that it may: no limit")


def _cancel(seen: Evidence) -> Iterator[Finding]:
    if seen.report.state is not State.CANCELLED:
        yield broken("cancel", f"a job that was cancelled ended as {seen.end}")
    elif seen.grows:
        yield broken("cancel", "a job that was cancelled still writes to its outputs/")
    else:
        yield good("cancel", "a job that is cancelled stops")


PROBES = (
    Probe(name="run", script=_LOOK, judge=_look, vital=frozenset({"run", "workspace"})),
    Probe(name="time-limit", script="sleep 60", judge=_time_limit, duration=1),
    Probe(name="memory-limit", script=_HOG, judge=_memory_limit, memory=100_000_000),
    Probe(name="cancel", script=_BEAT, judge=_cancel, cancelled=True),
)
