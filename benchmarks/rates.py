"""Requests a second, as a share of what the same web server does with a constant string."""

import statistics
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.sites import constant, create, site
from benchmarks.table import Row
from benchmarks.web import address_of, hammer, request

_JOBS = 1000
_ROUNDS = 7
_SECONDS = 0.6
_FORM = {"TEXT": "hello", "SECONDS": "1"}


def rates(store: str, workers: int, targets: dict[str, float], **environment: str) -> Iterator[Row]:
    """Measure in turns, so that a machine that drifts spoils no ratio."""
    with ExitStack() as stack:
        base = stack.enter_context(constant(workers))
        server = stack.enter_context(site(workers=workers, **environment))
        jobs = [create(server, **_FORM) for _ in range(_JOBS)]
        joblist = f"{server.url}/demo/async"
        cases = {
            "constant": (base, [request(base, keep=False)], 200),
            "GET of a job": (server.url, [request(job, keep=False) for job in jobs], 200),
            "?LAST=100": (server.url, [request(f"{joblist}?LAST=100", keep=False)], 200),
            "POST create": (server.url, [request(joblist, _FORM, keep=False)], 303),
        }
        found: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(_ROUNDS):
            for name, (url, messages, status) in cases.items():
                load = hammer(
                    address_of(url),
                    messages,
                    clients=4 * workers,
                    seconds=_SECONDS,
                    status=status,
                )
                found[name].append(load.rate)
    for name, target in targets.items():
        ratios = [a / b for a, b in zip(found[name], found["constant"], strict=True)]
        yield Row(
            what=f"{name}, {store}, {workers} process{'es' if workers > 1 else ''}",
            measured=statistics.median(ratios),
            target=target,
            unit="x constant",
            at_least=True,
            note=f"{min(ratios):.2f} to {max(ratios):.2f}; {statistics.median(found[name]):.0f}/s",
        )
