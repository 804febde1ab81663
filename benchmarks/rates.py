"""How many requests a second, compared with a constant string from the same gunicorn and Flask.

The two are asked in turns, a short while each: what else runs on the machine then slows down
both. A ratio is the median of those of all rounds, with the quartiles in brackets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from benchmarks.fill import fill, job_id
from benchmarks.sites import Site, busy, constant, site
from benchmarks.table import Row, at_least
from benchmarks.web import address_of, hammer, percentile, request

_JOBS = 1000
_SLICE = 0.2  # seconds
_FORM = {"TEXT": "hello", "SECONDS": "1", "RUNID": "bench"}


@dataclass(frozen=True, slots=True)
class _Case:
    what: str
    target: float
    status: int
    messages: list[bytes]
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)  #: seconds of a core for an answer


def rates(rounds: int, keep: bool, on_postgresql: bool) -> Iterator[Row]:
    """Compare GET, POST and lists; with ``keep`` on connections that stay open."""
    if on_postgresql:
        aims = {"GET of a job": 0.25, "POST of a new job, synced": 0.1}
        yield from _compare(1, aims, rounds, keep, on_postgresql)
        return
    aims = {"GET of a job": 0.6, "POST of a new job, synced": 0.25, "GET ?LAST=100": 0.3}
    yield from _compare(1, aims, rounds, keep, on_postgresql)
    yield from _compare(2, {"POST of a new job, synced": 0.2}, rounds, keep, on_postgresql)


def _compare(
    workers: int, aims: dict[str, float], rounds: int, keep: bool, on_postgresql: bool
) -> Iterator[Row]:
    with constant(workers) as (url, pids), site(workers=workers, on_postgresql=on_postgresql) as at:
        fill(at.database_url, _JOBS)
        nothing = _Case("constant", 1, 200, [request(url, keep=keep)])
        cases = list(_cases(at, keep, aims))
        for _ in range(rounds):
            _measure(nothing, url, pids, workers)
            for case in cases:
                _measure(case, at.url, at.web, workers)
        for case in cases:
            yield _row(case, nothing, str(at))
        yield Row(what=f"constant string, {at}", measured=f"{median(nothing.rates):.0f}/s")


def _cases(at: Site, keep: bool, aims: dict[str, float]) -> Iterator[_Case]:
    known = {
        "GET of a job": (
            200,
            [request(f"{at.url}/{job_id(number)}", keep=keep) for number in range(_JOBS)],
        ),
        "POST of a new job, synced": (303, [request(at.url, _FORM, keep=keep)]),
        "GET ?LAST=100": (200, [request(f"{at.url}?LAST=100", keep=keep)]),
    }
    for what, target in aims.items():
        yield _Case(what, target, *known[what])


def _measure(case: _Case, url: str, pids: tuple[int, ...], workers: int) -> None:
    before = busy(pids)
    load = hammer(
        address_of(url), case.messages, clients=4 * workers, seconds=_SLICE, status=case.status
    )
    case.rates.append(load.rate)
    case.costs.append((busy(pids) - before) / len(load.latencies))


def _row(case: _Case, nothing: _Case, where: str) -> Row:
    ratios = [rate / constant for rate, constant in zip(case.rates, nothing.rates, strict=True)]
    spread = f"({percentile(ratios, 25):.2f}-{percentile(ratios, 75):.2f})"
    by_core = median(nothing.costs) / median(case.costs)
    more = f"{spread}; by core time {by_core:.2f}"
    return at_least(f"{case.what}, {where}", case.target, median(ratios), more)
