"""From POST PHASE=RUN to COMPLETED: what the server adds to the job's own process."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import uwsd
from benchmarks.sites import site
from benchmarks.table import Row, at_most
from benchmarks.web import Unexpected, connect, exchange, percentile, request

_DEMO = Path(uwsd.__file__).parent / "bundled/demo.py"
_FORM = {"TEXT": "hello", "SECONDS": "0", "PHASE": "RUN"}


def runs(count: int, on_postgresql: bool) -> Iterator[Row]:
    """Run the demo job ``count`` times, one after the other."""
    took, bare = [], []
    with site(workers=2, on_postgresql=on_postgresql) as at, connect(at.address) as connection:
        for _ in range(count):
            began = time.perf_counter()
            _run(connection, at.url)
            took.append(time.perf_counter() - began)
            bare.append(_run_bare())
        where = str(at)
    process = median(bare)
    beyond = [seconds - process for seconds in took]
    more = f"(the bare process: {process * 1000:.0f} ms)"
    yield at_most(f"RUN to COMPLETED, p50, {where}", 0.15, percentile(beyond, 50), "s", more)
    yield at_most(f"RUN to COMPLETED, p95, {where}", 0.3, percentile(beyond, 95), "s")


def _run(connection: socket.socket, url: str) -> None:
    job = exchange(connection, request(url, _FORM)).location
    for _ in range(20):
        answer = exchange(connection, request(f"{job}?WAIT=10"))
        if "<uws:phase>COMPLETED" in answer.text:
            return
    raise Unexpected(answer.text)


def _run_bare() -> float:
    command = (sys.executable, "-I", "-S", str(_DEMO), "--text=hello", "--seconds=0", "--exit=0")
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        return time.perf_counter() - began
