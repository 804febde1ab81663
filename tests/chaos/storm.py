"""Processes that are killed at random moments, from a seed, and start again a little later."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_PAUSES = (0.2, 5.0)
"""Seconds for which what was killed is down."""
_BUSY = 0.1
"""Seconds after a client's request in which it is dealt with."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that can be killed."""

    name: str
    strike: Callable[[float], bool]
    """Kill it, and see that it is started again after so many seconds; false: it was down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One kill."""

    at: float  #: seconds after the storm has begun
    pause: float  #: seconds until what was killed is started again


def plan(dice: random.Random, seconds: float, every: float, busy: Sequence[float]) -> list[Strike]:
    """Choose the moments at which one target is struck, ``every`` so many seconds on average.

    Every other strike is put off until just after one of the moments ``busy``: what has to go
    through is the worst that can be hit.
    """
    strikes = []
    at = dice.expovariate(1 / every)
    while at < seconds:
        next_busy = min((moment for moment in busy if moment > at), default=at)
        when = dice.choice([at, next_busy + dice.uniform(0, _BUSY)])
        strikes.append(Strike(at=when, pause=dice.uniform(*_PAUSES)))
        at = when + dice.expovariate(1 / every)
    return strikes


class Storm:
    """All targets, each struck on its own, so that several may be down at a time."""

    def __init__(
        self,
        targets: Sequence[Target],
        seed: int,
        *,
        seconds: float,
        every: float,
        busy: Sequence[float] = (),
    ) -> None:
        """``every`` is how many seconds there are from one kill to the next, of all targets."""
        self.kills: Counter[str] = Counter()
        self.faults: list[str] = []
        self._began = 0.0
        self._threads = [
            threading.Thread(target=self._rage, args=(target, strikes), daemon=True)
            for number, target in enumerate(targets)
            for strikes in [
                plan(random.Random(f"{seed} {number}"), seconds, every * len(targets), busy)
            ]
        ]

    def begin(self) -> None:
        """Let it loose."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until the last kill is over, and all that was killed has been started again."""
        for thread in self._threads:
            thread.join()

    def _rage(self, target: Target, strikes: Sequence[Strike]) -> None:
        for strike in strikes:
            time.sleep(max(0.0, self._began + strike.at - time.monotonic()))
            try:
                self.kills[target.name] += target.strike(strike.pause)
            except Exception as error:  # noqa: BLE001 - the harness itself must not hide it
                self.faults.append(f"{target.name} did not come up again: {error!r}")
                return
