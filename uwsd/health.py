"""Is the site able to work? It looks, at everything that a job needs, and never for long.

The looks do not use what they look at: the answer is the same whether the database is up, hangs or
is down (VOSI 1.1 section 5.4).
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

from uwsd.database import Database
from uwsd.heartbeat import HeartbeatFile, silence
from uwsd.room import Room
from uwsd.uws import times

_PATIENCE = 2.0
"""Seconds that all looks together may take."""
_FRESH = 2.0
"""Seconds for which an answer is good."""

Look = Callable[[], None]
"""Looks at one thing, and raises when it is not well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How the site is. What is here goes to everybody: no paths, no words of an engine."""

    troubles: tuple[str, ...] = ()  #: each keeps every job from being run
    backends: frozenset[str] = frozenset()  #: the backends that cannot work now
    since: datetime | None = None  #: when the supervisor began its work


def look_once(name: str, look: Look, within: float = 5.0) -> str | None:
    """Say what is wrong with one thing in its own words, for an administrator; None if nothing."""
    probe = _Probe(name, look, words=lambda error: str(error).partition("\n")[0])
    probe.start()
    return probe.trouble(time.monotonic() + within)


class Health:
    """Looks at a site, at most once in `_FRESH` seconds however often it is asked."""

    def __init__(
        self,
        *,
        database: Database,
        workspaces: Path,
        room: Room,
        heartbeat: HeartbeatFile,
        tick: float,
        clock: Callable[[], datetime] = times.now,
    ) -> None:
        self._database = database
        self._workspaces = workspaces
        self._room = room
        self._heartbeat = heartbeat
        self._silence = silence(tick)
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._last = Condition()
        self._probes = (
            _Probe("the database", self._look_at_database),
            _Probe("the jobs' folder", self._look_at_disk),
        )

    def look(self) -> Condition:
        """Return how the site is."""
        with self._lock:
            if time.monotonic() > self._until:
                self._last = self._look()
                self._until = time.monotonic() + _FRESH
            return self._last

    def _look(self) -> Condition:
        heartbeat = self._heartbeat.read()
        for probe in self._probes:
            probe.start()
        give_up = time.monotonic() + _PATIENCE
        found = [probe.trouble(give_up) for probe in self._probes]
        troubles = [trouble for trouble in found if trouble is not None]
        if heartbeat is None or self._clock() - heartbeat.at > self._silence:
            return Condition(troubles=(*troubles, "no supervisor is at work"))
        broken = frozenset(n for n, trouble in heartbeat.backends.items() if trouble is not None)
        return Condition(troubles=tuple(troubles), backends=broken, since=heartbeat.since)

    def _look_at_database(self) -> None:
        self._database.ping()

    def _look_at_disk(self) -> None:
        self._workspaces.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=self._workspaces) as file:
            file.write(b"x")
        self._room.require()


class _Probe:
    """Looks at one thing, in a thread of its own; one that hangs is not asked again meanwhile."""

    def __init__(
        self, name: str, look: Look, words: Callable[[Exception], str] = lambda e: type(e).__name__
    ) -> None:
        self._name = name
        self._look = look
        self._words = words
        self._thread: threading.Thread | None = None
        self._trouble: str | None = None

    def start(self) -> None:
        """Begin to look."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def trouble(self, give_up: float) -> str | None:
        """Return what is wrong; having no answer at ``give_up`` (monotonic time) is, too."""
        assert self._thread is not None
        self._thread.join(max(0.0, give_up - time.monotonic()))
        if self._thread.is_alive():
            return f"{self._name} does not answer"
        return self._trouble

    def _run(self) -> None:
        try:
            self._look()
            self._trouble = None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not well
            self._trouble = f"{self._name} cannot be used: {self._words(error)}"
