"""Lists of many jobs: no slower among a million than among a thousand, and no burden to others."""

import itertools
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from urllib.parse import quote

from benchmarks.fill import EVERY, START, fill, job_id
from benchmarks.sites import Site, resident, site
from benchmarks.table import Row, at_most
from benchmarks.web import Address, beside, connect, exchange, percentile, probe, request
from uwsd.uws.times import from_milliseconds, to_text

FEW, MANY = 1_000, 1_000_000
_ROUNDS = 150
_LONG = 100_000
_TIMES = 4
_RARE = ("HELD", "SUSPENDED", "UNKNOWN")


def scale(many: int, on_postgresql: bool) -> Iterator[Row]:
    """Ask for the same among few and among ``many`` jobs, in turns; answers have the same size."""
    with site(on_postgresql=on_postgresql) as small, site(on_postgresql=on_postgresql) as large:
        queries = {small: _fill(small, FEW), large: _fill(large, many)}
        with connect(small.address) as to_small, connect(large.address) as to_large:
            connections = {small: to_small, large: to_large}
            for what in queries[small]:
                asked = [(connections[at], queries[at][what]) for at in (small, large)]
                few, much = _medians(asked)
                more = f"({much * 1000:.1f} ms)"
                name = f"{what}: {many:,} jobs / {FEW:,}, {large}"
                yield at_most(name, 1.5, much / few, "", more)


def _medians(asked: Sequence[tuple[socket.socket, bytes]]) -> list[float]:
    """Ask each in turns; return the median of each one's times."""
    times: list[list[float]] = [[] for _ in asked]
    sizes = [0 for _ in asked]
    for turn in itertools.chain.from_iterable(itertools.repeat(range(len(asked)), _ROUNDS)):
        connection, query = asked[turn]
        began = time.perf_counter()
        sizes[turn] = exchange(connection, query).size
        times[turn].append(time.perf_counter() - began)
    assert min(sizes) > 0.98 * max(sizes), f"not the same is compared: {sizes}"
    return [median(seen) for seen in times]


def _fill(at: Site, count: int) -> Mapping[str, bytes]:
    """Make jobs, half of them of the caller: in both stores as many in each of the rare phases.

    Those are spread over all of the time. Return the queries.
    """
    fifth, tenth = count // 5, count // 10
    rare = " ".join(
        f"WHEN n % {fifth} = {2 * place} THEN '{phase}'" for place, phase in enumerate(_RARE, 1)
    )
    phase = f"CASE {rare} WHEN n % {tenth} = 10 THEN 'EXECUTING' ELSE 'COMPLETED' END"
    fill(at.database_url, count, phase=phase, owner="CASE WHEN n % 2 = 1 THEN 'user' || n % 99 END")
    after = quote(to_text(from_milliseconds(START + (count - 101) * EVERY)))
    several = "&".join(f"PHASE={phase}" for phase in _RARE)
    return {
        "LAST=100": request(f"{at.url}?LAST=100"),
        "PHASE=EXECUTING": request(f"{at.url}?PHASE=EXECUTING"),
        "three rare phases, LAST=10": request(f"{at.url}?{several}&LAST=10"),
        "AFTER": request(f"{at.url}?AFTER={after}"),
        "AFTER, LAST=100": request(f"{at.url}?AFTER={after}&LAST=100"),
    }


def streams() -> Iterator[Row]:
    """Send a list of 100,000 jobs while others ask for a job."""
    with site() as at, beside(2) as others:
        fill(at.database_url, _LONG)
        look = request(f"{at.url}/{job_id(0)}")
        idle = others.submit(probe, at.address, look, seconds=3, every=0.005).result()
        before = resident(at.web)
        sending = others.submit(_read, at.address, request(at.url))
        reading = others.submit(probe, at.address, look, seconds=3, every=0.005)
        most = before
        while not sending.done():
            most = max(most, resident(at.web))
            time.sleep(0.02)
        took, size = sending.result()
        seen = reading.result()
    p99, more = percentile(seen, 99) * 1000, f"(without: {percentile(idle, 99) * 1000:.3g} ms)"
    yield at_most("list of 100,000: p99 of others' GET", 50, p99, "ms", more)
    more = f"for {size / 2**20:.0f} MiB in {took:.1f} s"
    yield at_most("list of 100,000: growth of memory", 16, most - before, "MiB", more)


def _read(address: Address, message: bytes) -> tuple[float, int]:
    began = time.perf_counter()
    with connect(address) as connection:
        sizes = [exchange(connection, message).size for _ in range(_TIMES)]
    return (time.perf_counter() - began) / _TIMES, sizes[0]
