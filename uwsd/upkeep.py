"""What a supervisor does beside its jobs: it shows that it lives, and keeps the records up."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from uwsd.backends.base import Backend, BackendError
from uwsd.database import DATABASE_FAULTS
from uwsd.heartbeat import Heartbeat, HeartbeatFile
from uwsd.registry.publisher import Publisher
from uwsd.uws import times

_PACE = 1.0
"""Seconds between two rounds, however often there is something to do for jobs."""

_log = logging.getLogger(__name__)


class Upkeep:
    """Call it as often as you like; it does its round once in a while."""

    def __init__(
        self,
        *,
        backends: Mapping[str, Backend],
        heartbeat: HeartbeatFile,
        publisher: Publisher,
        clock: Callable[[], datetime] = times.now,
    ) -> None:
        self._backends = backends
        self._heartbeat = heartbeat
        self._publisher = publisher
        self._clock = clock
        self._since = clock()
        self._next = 0.0

    def __call__(self) -> None:
        """Do a round, if it is time for one. Jobs must not wait for what goes wrong here."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PACE
        try:
            said = {name: _trouble(backend) for name, backend in self._backends.items()}
            heartbeat = Heartbeat(since=self._since, at=self._clock(), backends=said)
            self._heartbeat.beat(heartbeat)
            self._publisher.refresh()
        except DATABASE_FAULTS:
            raise
        except Exception:  # noqa: BLE001 - it is logged, and the jobs go on
            _log.exception("the upkeep of the site was cut short; it will be tried again")


def _trouble(backend: Backend) -> str | None:
    try:
        return backend.check()
    except BackendError as error:  # one that cannot even be asked is not well
        return str(error)
