"""Ten thousand open WAITs: what they take, how soon they are woken, what others feel."""

import selectors
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.fill import fill, job_id
from benchmarks.sites import resident, site, threads, web_processes
from benchmarks.table import Row
from benchmarks.web import (
    Address,
    address_of,
    beside,
    connect,
    exchange,
    percentile,
    probe,
    request,
)
from tests.serving import Server

_CHANGES = 300
_PACE = 0.02  # seconds between two changes
Woken = list[tuple[int, float]]


def hold(pipe: Connection, address: Address, messages: Sequence[bytes]) -> None:
    """Open a WAIT for each message; send back which were answered when, once asked to."""
    poll = selectors.EpollSelector()
    woken: Woken = []

    def hear(patience: float) -> None:
        for key, _ in poll.select(patience):
            key.fileobj.recv(65536)  # type: ignore[union-attr]
            woken.append((key.data, time.perf_counter()))
            poll.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]

    for number, message in enumerate(messages):
        opened = connect(address)
        opened.sendall(message)
        poll.register(opened, selectors.EVENT_READ, number)
        hear(0)
    pipe.send("open")
    while not pipe.poll():
        hear(0.05)
    pipe.send(woken)


def waits(
    store: str, count: int, *, workers: int = 1, ends: int | None = None, **environment: str
) -> Iterator[Row]:
    """Measure with ``count`` WAITs on a quarter as many jobs; with ``ends`` they all end then."""
    jobs = count // 4
    with ExitStack() as stack:
        server = stack.enter_context(site(workers=workers, **environment))
        pool = stack.enter_context(beside(1))
        url = environment.get("UWSD_DATABASE__URL", f"sqlite:///{server.data}/uwsd.db")
        fill(url, jobs + 1)
        address, joblist = address_of(server.url), f"{server.url}/demo/async"
        other = request(f"{joblist}/{job_id(jobs)}")
        idle = pool.submit(probe, address, other, seconds=4, every=0.01).result()
        before = [threads(process) for process in web_processes(server)]
        wait = -1 if ends is None else ends
        messages = [request(f"{joblist}/{job_id(n % jobs)}?WAIT={wait}") for n in range(count)]
        spawn = get_context("spawn")
        ours, theirs = spawn.Pipe()
        holder = spawn.Process(target=hold, args=(theirs, address, messages), daemon=True)
        holder.start()
        assert ours.recv() == "open"
        title = f"{count:,} WAITs, {store}, {workers} process{'es' if workers > 1 else ''}"
        if ends is None:
            found = pool.submit(probe, address, other, seconds=4, every=0.01).result()
            yield from _open(title, server, found, idle, before)
            yield _wake(title, address, joblist, ours, jobs)
        else:
            found = pool.submit(probe, address, other, seconds=ends + 4, every=0.01).result()
            yield Row(
                what=f"{title}: longest stop when all end",
                measured=max(found),
                target=0.5,
                unit="s",
            )
            ours.send("stop")
            ours.recv()
        holder.join(10)


def _open(
    title: str, server: Server, found: list[float], idle: list[float], before: list[int]
) -> Iterator[Row]:
    processes = web_processes(server)
    most = max(resident(process) for process in processes) / 1024
    yield Row(what=f"{title}: memory of a process", measured=most, target=512, unit="MiB")
    more = sum(map(threads, processes)) - sum(before)
    yield Row(what=f"{title}: more threads", measured=more, target=0)
    p50, p99 = percentile(found, 50) * 1e3, percentile(found, 99) * 1e3
    quiet50, quiet99 = percentile(idle, 50) * 1e3, percentile(idle, 99) * 1e3
    yield Row(what=f"{title}: others' p50", measured=p50, target=2 * quiet50, unit="ms")
    yield Row(what=f"{title}: others' p99", measured=p99, target=2 * max(quiet99, 10), unit="ms")


def _wake(title: str, address: Address, joblist: str, pipe: Connection, jobs: int) -> Row:
    posted = {}
    with connect(address) as connection:
        for number in range(_CHANGES):
            began = posted[number] = time.perf_counter()
            abort = request(f"{joblist}/{job_id(number)}/phase", {"PHASE": "ABORT"})
            answer = exchange(connection, abort)
            assert answer.status == 303, answer.head
            time.sleep(max(0.0, began + _PACE - time.perf_counter()))
    time.sleep(0.5)
    pipe.send("stop")
    woken: Woken = pipe.recv()
    delays = [at - posted[n % jobs] for n, at in woken if n % jobs in posted]
    assert len(delays) >= 3 * _CHANGES, f"only {len(delays)} were woken"
    return Row(
        what=f"{title}: woken after the POST, p99",
        measured=percentile(delays, 99) * 1e3,
        target=100,
        unit="ms",
        note=f"p50 {percentile(delays, 50) * 1e3:.1f} ms, {len(delays)} answers",
    )
