"""``make bench``, or ``python -m benchmarks [PART]...``: measure, and print a table."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from tempfile import TemporaryDirectory

import click

from benchmarks.growth import growth, lock, stream, turnaround
from benchmarks.rates import rates
from benchmarks.table import Row, show
from benchmarks.waits import waits
from tests.engines.postgresql import fresh_database, postgresql

_WAITS = 10_000


@contextmanager
def _postgresql() -> Iterator[str]:
    """Give the URL of a database of its own, with the schema."""
    with postgresql() as server, fresh_database(server) as url, TemporaryDirectory() as data:
        environment = {"UWSD_DATABASE__URL": url, "UWSD_DATA": data, "PATH": "/usr/bin:/bin"}
        migrate = [sys.executable, "-m", "uwsd", "migrate"]
        subprocess.run(migrate, env=environment, check=True, capture_output=True)
        yield url


def _rates() -> Iterator[Row]:
    one = {"GET of a job": 0.6, "POST create": 0.25, "?LAST=100": 0.3}
    yield from rates("SQLite", 1, one)
    yield from rates("SQLite", 2, {"POST create": 0.2})
    with _postgresql() as url:
        targets = {"GET of a job": 0.25, "POST create": 0.1}
        yield from rates("PostgreSQL", 1, targets, UWSD_DATABASE__URL=url)


def _waits() -> Iterator[Row]:
    yield from waits("SQLite", _WAITS)
    yield from waits("SQLite", _WAITS, workers=2)
    with _postgresql() as url:
        yield from waits("PostgreSQL", _WAITS, workers=2, UWSD_DATABASE__URL=url)
    yield from waits("SQLite", _WAITS, ends=20)


PARTS: Mapping[str, Callable[[], Iterator[Row]]] = {
    "rates": _rates,
    "growth": growth,
    "stream": stream,
    "lock": lock,
    "turnaround": turnaround,
    "waits": _waits,
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
def main(parts: tuple[str, ...]) -> None:
    """Measure PARTS, or everything; the exit status is 1 when a target is missed."""
    chosen = [PARTS[part]() for part in parts or PARTS]
    if not show(list(chain.from_iterable(chosen))):
        sys.exit(1)


main()
