"""A real server: the processes that `make run` starts, on a port of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import requests

READY = re.compile(r"uwsd is ready at (\S+)")


class Server:
    """One `uwsd serve` on a data folder; it can be stopped, killed and started again."""

    def __init__(self, data: Path, config: Path | None = None, **environment: str) -> None:
        self.data = data
        self._log = data.parent / f"{data.name}.log"
        self._environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith("UWSD_")},
            "UWSD_DATA": str(data),
            "UWSD_PORT": "0",
            **({} if config is None else {"UWSD_CONFIG": str(config)}),
            **environment,
        }
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        with self._log.open("ab") as log:
            began = log.tell()
            command = (sys.executable, "-m", "uwsd", "serve")
            self.process = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, cwd=self.data.parent
            )
        # The same address again, as a site has it: clients come back to their jobs.
        match = self._await(READY, began)
        self.url = match[1]
        self._environment["UWSD_PORT"] = self.url.rpartition(":")[2]
        return self

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def kill(self) -> None:
        """End web, supervisor and the parent of both at once, without a word."""
        assert self.process is not None
        children = descendants(self.process.pid)
        self.process.kill()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        wait_until(lambda: not any(map(is_alive, children)))

    @property
    def log(self) -> str:
        return self._log.read_text()

    def _await(self, pattern: re.Pattern[str], began: int) -> re.Match[str]:
        assert self.process is not None
        deadline = time.monotonic() + 60
        while not (match := pattern.search(self._log.read_bytes()[began:].decode())):
            assert self.process.poll() is None, f"it ended: {self.log}"
            assert time.monotonic() < deadline, f"not ready: {self.log}"
            time.sleep(0.02)
        return match


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def at_work_in(folder: Path) -> list[Path]:
    """Return where processes are that are somewhere in a folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):  # it has just ended, or is nobody's business
            found.append(link.readlink())
    return [place for place in found if folder in place.parents]


def descendants(pid: int) -> list[int]:
    """Return the children of a process that run uwsd or gunicorn, and their children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and (b"gunicorn" in command or b"supervise" in command):
            child = int(stat.parent.name)
            found += [child, *descendants(child)]
    return found


def wait_until(condition: Callable[[], object], patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def finished(job: str) -> str:
    """Wait until a job is over; return its phase."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        requests.get(job, params={"WAIT": "10"}, timeout=60)
        phase = requests.get(f"{job}/phase", timeout=60).text
        if phase in ("COMPLETED", "ERROR", "ABORTED"):
            return phase
    raise AssertionError(f"{job} is still {phase}")
