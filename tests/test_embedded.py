"""Writers of the embedded database share a wait for the disk, and nothing else."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.serving import wait_until
from uwsd.database import Database

ONES = [(number,) for number in range(40)]


class Disk:
    """A disk that is as slow as a test wants; it may also fail."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.goes_on = threading.Event()
        self.commits = 0
        self.failure: Exception | None = None

    def __call__(self, work: Callable[[], object]) -> None:
        self.commits += 1
        self.arrived.release()
        assert self.goes_on.wait(30)
        if self.failure is not None:
            raise self.failure
        work()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def database(tmp_path: Path, disk: Disk) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'it.db'}", disk)
    disk.goes_on.set()
    with database.write() as connection:
        connection.execute(text("CREATE TABLE it (n INTEGER UNIQUE)"))
    disk.goes_on.clear()
    disk.commits = 0
    assert disk.arrived.acquire(blocking=False)
    yield database
    disk.goes_on.set()
    database.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def add(database: Database, *numbers: int) -> None:
    with database.write() as connection:
        for number in numbers:
            connection.execute(text("INSERT INTO it VALUES (:n)"), {"n": number})


def kept(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.scalars(text("SELECT n FROM it ORDER BY n")))


def add_while_the_first_waits(
    database: Database, disk: Disk, pool: ThreadPoolExecutor, writes: Sequence[tuple[int, ...]]
) -> list[Future[None]]:
    """Let one writer wait for the disk, and the others stand in line meanwhile."""
    first = pool.submit(add, database, *writes[0])
    assert disk.arrived.acquire(timeout=30)
    others = [pool.submit(add, database, *write) for write in writes[1:]]
    embedded = database._embedded
    assert embedded is not None
    wait_until(lambda: len(embedded._in_line) == len(others))
    return [first, *others]


def test_who_stands_in_line_shares_the_next_commit(
    database: Database, disk: Disk, pool: ThreadPoolExecutor
) -> None:
    writes = add_while_the_first_waits(database, disk, pool, ONES[:21])
    assert not any(write.done() for write in writes), "nobody is told before it is on the disk"
    assert kept(database) == []
    disk.goes_on.set()
    for write in writes:
        write.result(30)
    assert kept(database) == list(range(21))
    assert disk.commits == 2


def test_what_one_has_done_wrong_is_undone_alone(
    database: Database, disk: Disk, pool: ThreadPoolExecutor
) -> None:
    writes = add_while_the_first_waits(
        database, disk, pool, [(0,), (1,), (7, 1), (2,), (8, 0), (3,)]
    )
    disk.goes_on.set()
    failures = [write.exception(30) for write in writes]
    assert sum(failure is not None for failure in failures) == 2
    assert kept(database) == [0, 1, 2, 3]


def test_a_commit_that_fails_is_told_to_all_who_shared_it(
    database: Database, disk: Disk, pool: ThreadPoolExecutor
) -> None:
    disk.failure = sqlite3.OperationalError("disk I/O error")
    writes = add_while_the_first_waits(database, disk, pool, ONES[:5])
    disk.goes_on.set()
    assert all("disk I/O error" in str(write.exception(30)) for write in writes)
    assert kept(database) == []
    disk.failure = None
    add(database, 7)
    assert kept(database) == [7]


def test_a_batch_has_an_end(
    database: Database, disk: Disk, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uwsd.embedded._MOST", 4)
    writes = add_while_the_first_waits(database, disk, pool, ONES[:9])
    disk.goes_on.set()
    for write in writes:
        write.result(30)
    assert disk.commits == 3
