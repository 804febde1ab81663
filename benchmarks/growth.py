"""What the number of jobs costs, and what others pay for a long list, a lock, a job."""

import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.fill import START, fill, job_id
from benchmarks.sites import create, resident, site, web_processes
from benchmarks.table import Row
from benchmarks.web import address_of, beside, connect, exchange, percentile, probe, request
from tests.serving import Server

_FEW, _MANY, _STREAMED = 1_000, 1_000_000, 100_000


def _sqlite(server: Server) -> str:
    return f"sqlite:///{server.data}/uwsd.db"


def growth() -> Iterator[Row]:
    """Compare the same questions, with answers of the same size, on few jobs and on many."""
    queries = {
        "?LAST=100": "?LAST=100",
        "?PHASE=EXECUTING&LAST=10": "?PHASE=EXECUTING&LAST=10",
        "two rare phases with LAST": "?PHASE=HELD&PHASE=SUSPENDED&LAST=20",
        "?AFTER=, of the last 50 jobs": "",
    }
    found: dict[str, list[float]] = {name: [] for name in queries}
    for count in (_FEW, _MANY):
        with site() as server:
            # The same number of rare jobs in each: what is compared is the walk, not the answer.
            fill(_sqlite(server), count, phase=_phases(count))
            after = time.strftime(
                "%Y-%m-%dT%H:%M:%SZ", time.gmtime((START + (count - 51) * 1000) / 1000)
            )
            with connect(address_of(server.url)) as connection:
                for name, query in queries.items():
                    message = request(f"{server.url}/demo/async{query or f'?AFTER={after}'}")
                    found[name].append(_typical(partial(exchange, connection, message)))
    for name, (few, many) in found.items():
        yield Row(
            what=f"{name}: {_MANY:,} jobs against {_FEW:,}",
            measured=many / few,
            target=1.5,
            unit="times",
            note=f"{few * 1e3:.2f} and {many * 1e3:.2f} ms",
        )


def _phases(count: int) -> str:
    rare = f"WHEN n % {count // 10} = 7 THEN 'HELD' WHEN n % {count // 10} = 8 THEN 'SUSPENDED'"
    return f"CASE {rare} WHEN n % {count // 100} = 5 THEN 'EXECUTING' ELSE 'COMPLETED' END"


def _typical(ask: Callable[[], object], times: int = 60) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def stream() -> Iterator[Row]:
    """Send a list of 100,000 jobs, and look at what others feel and at the memory."""
    with site() as server, beside(1) as pool:
        fill(_sqlite(server), _STREAMED)
        address = address_of(server.url)
        others = request(f"{server.url}/demo/async/{job_id(1)}")
        (process,) = web_processes(server)
        before = resident(process)
        most = before
        latencies = pool.submit(probe, address, others, seconds=6, every=0.01)
        with connect(address) as connection:
            began = time.perf_counter()
            while time.perf_counter() < began + 5:
                size = exchange(connection, request(f"{server.url}/demo/async")).size
                most = max(most, resident(process))
        yield Row(
            what=f"others' p99 while {_STREAMED:,} jobs are listed ({size / 1e6:.0f} MB)",
            measured=percentile(latencies.result(), 99) * 1e3,
            target=50,
            unit="ms",
        )
        yield Row(
            what="memory that such a list takes",
            measured=(most - before) / 1024,
            target=32,
            unit="MiB",
        )


def lock() -> Iterator[Row]:
    """Hold the write lock 0.2 s of every 0.25 s, from another process, while jobs are made."""
    holder = (
        "import sqlite3, sys, time\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)\n"
        "while True:\n"
        "    c.execute('BEGIN IMMEDIATE'); time.sleep(0.2)\n"
        "    c.execute('ROLLBACK'); time.sleep(0.05)\n"
    )
    with site() as server, beside(1) as pool:
        job = create(server)
        path = f"{server.data}/uwsd.db"
        sqlite3.connect(path).close()
        held = subprocess.Popen([sys.executable, "-c", holder, path])
        stop = threading.Event()
        makers = [threading.Thread(target=_make, args=(server, stop)) for _ in range(4)]
        for maker in makers:
            maker.start()
        try:
            address = address_of(server.url)
            found = pool.submit(probe, address, request(job), seconds=6, every=0.01).result()
        finally:
            stop.set()
            held.kill()
            held.wait()
            for maker in makers:
                maker.join()
    yield Row(
        what="others' p99 while a foreign process locks the database 0.2 s at a time",
        measured=percentile(found, 99) * 1e3,
        target=50,
        unit="ms",
    )


def _make(server: Server, stop: threading.Event) -> None:
    while not stop.is_set():
        create(server)


def turnaround() -> Iterator[Row]:
    """From the POST of PHASE=RUN to COMPLETED, beyond what the bare process takes."""
    bundled = Path(__file__).parents[1] / "uwsd" / "bundled" / "demo.py"
    command = [sys.executable, "-I", "-S", str(bundled), "--text=a", "--seconds=0", "--exit=0"]
    bare = _typical(
        lambda: subprocess.run(command, cwd="/tmp", check=True, stdout=subprocess.DEVNULL), 20
    )
    taken = []
    with site() as server:
        for _ in range(100):
            began = time.perf_counter()
            job = create(server, SECONDS="0", PHASE="RUN")
            with connect(address_of(server.url)) as connection:
                while "COMPLETED" not in _phase(connection, job):
                    pass
            taken.append(time.perf_counter() - began - bare)
    for percent, target in ((50, 0.15), (95, 0.3)):
        yield Row(
            what=f"POST PHASE=RUN to COMPLETED beyond the bare process, p{percent}",
            measured=percentile(taken, percent),
            target=target,
            unit="s",
            note=f"the process alone takes {bare * 1e3:.0f} ms",
        )


def _phase(connection: socket.socket, job: str) -> str:
    for phase in ("QUEUED", "EXECUTING"):
        exchange(connection, request(f"{job}?WAIT=10&PHASE={phase}"))
    return exchange(connection, request(f"{job}/phase")).head
