"""Ten thousand open WAITs: what they cost, how soon they are woken, whom they stop."""

import itertools
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.fill import fill, job_id
from benchmarks.sites import Site, busy, resident, site, statements, threads
from benchmarks.table import Row, at_most
from benchmarks.web import Address, beside, connect, exchange, percentile, probe, request

_A_JOB = 4  # WAITs
_CHANGES = 350
_PACE = 0.02  # seconds between two changes
_SETTLED = 0.05
_QUIET = 5.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """When the WAIT of that number was answered."""

    number: int
    at: float


class _Waiters:
    """Clients in a process of their own, each with one WAIT."""

    def __init__(self, pipe: "Connection[object, list[_Ended]]") -> None:
        self._pipe = pipe

    def stop(self) -> list[_Ended]:
        """Return which have ended until now."""
        self._pipe.send(None)
        return self._pipe.recv()


def woken(count: int, workers: int, on_postgresql: bool) -> Iterator[Row]:
    """Keep ``count`` WAITs, and change one job after the other for which some of them wait."""
    jobs = count // _A_JOB
    with site(workers=workers, on_postgresql=on_postgresql) as at, beside(1) as others:
        where = str(at)
        fill(at.database_url, jobs + 1)
        look = request(f"{at.url}/{job_id(jobs)}")
        idle = others.submit(probe, at.address, look, seconds=_QUIET, every=0.01).result()
        threads_before = threads(at.web)
        with _waiting(at, count, jobs, "-1") as waiters:
            _settle(at, look)
            yield at_most(f"{count:,} WAITs: memory, {where}", 512, resident(at.web), "MiB")
            more = threads(at.web) - threads_before
            yield at_most(f"{count:,} WAITs: more threads, {where}", 0, more)
            yield from _quiet(at, count, where)
            during = others.submit(probe, at.address, look, seconds=_CHANGES * _PACE, every=0.01)
            changed = _change(at, jobs)
            seen = during.result()
            time.sleep(0.5)
            ended = waiters.stop()
    late = [e.at - changed[e.number % jobs] for e in ended if e.number % jobs in changed]
    assert len(late) >= len(changed) * _A_JOB, f"{len(late)} were woken"
    p50, p99 = percentile(seen, 50), percentile(seen, 99)
    yield at_most(
        f"change to woken, p99, {where}",
        100,
        percentile(late, 99) * 1000,
        "ms",
        f"(p50 {percentile(late, 50) * 1000:.3g})",
    )
    yield _others("p50", where, p50, 2 * percentile(idle, 50))
    yield _others("p99", where, p99, 2 * max(0.01, percentile(idle, 99)))


def _others(which: str, where: str, value: float, target: float) -> Row:
    what = f"others' GET meanwhile, {which}, {where}"
    return at_most(what, round(target * 1000, 1), value * 1000, "ms")


def _quiet(at: Site, count: int, where: str) -> Iterator[Row]:
    """Let all sleep for a while; nobody must ask the database or the processor for anything."""
    core, asked = busy(at.web), statements(at.database_url)
    time.sleep(_QUIET)
    used = (busy(at.web) - core) / _QUIET * 100
    yield at_most(f"{count:,} sleeping WAITs: part of a core, {where}", 5, used, "%")
    if asked is not None:
        now = statements(at.database_url)
        assert now is not None
        yield at_most(f"{count:,} sleeping WAITs: queries, {where}", 20, now - asked, "", "in 5 s")


def ended(count: int) -> Iterator[Row]:
    """Let ``count`` WAITs come to their end together."""
    jobs = count // _A_JOB
    with site() as at, beside(1) as others:
        fill(at.database_url, jobs + 1)
        look = request(f"{at.url}/{job_id(jobs)}")
        with _waiting(at, count, jobs, "20") as waiters:
            _settle(at, look)
            seen = others.submit(probe, at.address, look, seconds=25, every=0.01).result()
            over = [e.at for e in waiters.stop()]
    assert len(over) == count, f"{len(over)} have ended"
    more = f"(p99 {percentile(seen, 99) * 1000:.3g} ms; ended within {max(over) - min(over):.0f} s)"
    yield at_most(f"the end of {count:,} WAITs: longest of others' GETs", 0.5, max(seen), "s", more)


@contextmanager
def _waiting(at: Site, count: int, jobs: int, seconds: str) -> Iterator[_Waiters]:
    messages = [request(f"{at.url}/{job_id(n % jobs)}?WAIT={seconds}") for n in range(count)]
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_wait, args=(theirs, at.address, messages), daemon=True)
    process.start()
    assert ours.recv() == "all have asked"
    yield _Waiters(ours)
    process.join()


def _wait(pipe: "Connection[object, object]", address: Address, messages: Sequence[bytes]) -> None:
    poll = select.epoll()
    waiting: dict[int, tuple[int, socket.socket]] = {}
    ended: list[_Ended] = []

    def hear(seconds: float) -> None:
        for descriptor, _ in poll.poll(seconds):
            number, connection = waiting.pop(descriptor)
            ended.append(_Ended(number, time.perf_counter()))
            poll.unregister(descriptor)
            connection.close()

    for number, message in enumerate(messages):
        connection = connect(address)
        connection.sendall(message)
        waiting[connection.fileno()] = number, connection
        poll.register(connection, select.EPOLLIN)
        hear(0)
    pipe.send("all have asked")
    while not pipe.poll():
        hear(0.05)
    pipe.send(ended)


def _settle(at: Site, look: bytes) -> None:
    """Return when the server has heard all and is at rest again."""
    for rested in itertools.count():
        began = time.perf_counter()
        with connect(at.address) as connection:
            exchange(connection, look)
        if time.perf_counter() - began < _SETTLED and rested > 5:
            return
        time.sleep(0.1)


def _change(at: Site, jobs: int) -> dict[int, float]:
    """Abort one job after the other; return when each was asked for."""
    changed = {}
    with connect(at.address) as connection:
        for number in range(min(_CHANGES, jobs)):
            began = changed[number] = time.perf_counter()
            abort = request(f"{at.url}/{job_id(number)}/phase", {"PHASE": "ABORT"})
            assert exchange(connection, abort).status == 303
            time.sleep(max(0.0, began + _PACE - time.perf_counter()))
    return changed
