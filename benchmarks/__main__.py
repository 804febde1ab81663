"""Measure what is promised: ``make bench``, or ``python -m benchmarks [PART]...`` for a part.

What is measured are real servers, in processes of their own, over sockets. Other work on the
machine makes the figures worse: the first line tells how much of it there was.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from benchmarks.engines_kubernetes import kubernetes_rows
from benchmarks.lists import scale, streams
from benchmarks.locks import locks
from benchmarks.overhead import overhead
from benchmarks.rates import rates
from benchmarks.runs import runs
from benchmarks.sites import allow_clients
from benchmarks.table import Row, show
from benchmarks.waits import ended, woken
from tests.engines.postgresql import BINARIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured."""

    rounds: int
    waits: int
    jobs: int
    keep_alive: bool
    databases: tuple[bool, ...]  #: whether it is PostgreSQL


def _rates(extent: Extent) -> Iterator[Row]:
    for on_postgresql in extent.databases:
        yield from rates(extent.rounds, extent.keep_alive, on_postgresql)


def _lists(extent: Extent) -> Iterator[Row]:
    for on_postgresql in extent.databases:
        yield from scale(extent.jobs, on_postgresql)


def _runs(extent: Extent) -> Iterator[Row]:
    for on_postgresql in extent.databases:
        yield from runs(extent.rounds, on_postgresql)


def _waits(extent: Extent) -> Iterator[Row]:
    yield from woken(extent.waits, 1, on_postgresql=False)
    for on_postgresql in extent.databases:
        yield from woken(extent.waits, 2, on_postgresql)
    yield from ended(extent.waits)


_PARTS: Mapping[str, Callable[[Extent], Iterator[Row]]] = {
    "rates": _rates,
    "locks": lambda extent: locks(extent.rounds / 5),
    "lists": _lists,
    "streams": lambda _: streams(),
    "runs": _runs,
    "waits": _waits,
}
_ENGINES: Mapping[str, Callable[[Extent], Iterator[Row]]] = {
    "kubernetes": lambda extent: kubernetes_rows(2000, extent.rounds),
    "overhead": lambda extent: overhead(extent.rounds),
}
"""Parts that need an engine, and are only measured when they are named."""


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice([*_PARTS, *_ENGINES]))
@click.option("--rounds", default=30, help="How often each request is measured.", show_default=True)
@click.option("--waits", default=10_000, help="How many WAITs are open.", show_default=True)
@click.option("--jobs", default=1_000_000, help="How many jobs a store has.", show_default=True)
@click.option("--keep-alive", is_flag=True, help="Rates on connections that stay open.")
@click.option("--sqlite", is_flag=True, help="Leave out PostgreSQL.")
def main(parts: tuple[str, ...], sqlite: bool, **extent: Any) -> None:
    """Measure the PARTS that are named, or all of them, and compare with what is promised."""
    databases = (False,) if sqlite or not BINARIES else (False, True)
    _measure(parts or tuple(_PARTS), Extent(databases=databases, **extent))


def _measure(parts: tuple[str, ...], extent: Extent) -> None:
    allow_clients()
    began = time.monotonic()
    load = " ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load averages before: {load}\n")
    every = {**_PARTS, **_ENGINES}
    rows = list(show(row for part in parts for row in every[part](extent)))
    missed = sum(row.ok is False for row in rows)
    print(f"\n{missed} of {len(rows)} missed, in {time.monotonic() - began:.0f} s.", end=" ")
    print("" if BINARIES else "PostgreSQL is not installed: apt-get install postgresql.")
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
