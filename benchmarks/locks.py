"""Another process locks SQLite's database again and again: who does not write must not notice."""

import sqlite3
import time
from collections.abc import Iterator

from benchmarks.fill import fill, job_id
from benchmarks.sites import site
from benchmarks.table import Row, at_most
from benchmarks.web import Load, beside, hammer, percentile, probe, request

_HELD, _FREE = 0.2, 0.05


def locks(seconds: float) -> Iterator[Row]:
    """Hold the write lock for 0.2 s of every 0.25 s while jobs are made and others read."""
    with site() as at, beside(3) as others:
        fill(at.database_url, 1)
        look = request(f"{at.url}/{job_id(0)}")
        new = [request(at.url, {"TEXT": "hello"})]
        idle = others.submit(probe, at.address, look, seconds=seconds, every=0.005).result()
        locking = others.submit(_lock, at.database_url.removeprefix("sqlite:///"), seconds + 1)
        making = others.submit(hammer, at.address, new, clients=4, seconds=seconds, status=303)
        reading = others.submit(probe, at.address, look, seconds=seconds, every=0.005)
        made: Load = making.result()
        seen = reading.result()
        locking.result()
    yield at_most(
        "foreign lock: p99 of others' GET",
        50,
        percentile(seen, 99) * 1000,
        "ms",
        f"(without: {percentile(idle, 99) * 1000:.3g} ms)",
    )
    latest = percentile(made.latencies, 99) * 1000
    yield Row(what="foreign lock: POSTs", measured=f"{made.rate:.0f}/s, p99 {latest:.0f} ms")


def _lock(path: str, seconds: float) -> None:
    other = sqlite3.connect(path, isolation_level=None, timeout=10)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(_HELD)
        other.execute("COMMIT")
        time.sleep(_FREE)
    other.close()
