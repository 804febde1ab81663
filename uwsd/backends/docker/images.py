"""How the images of jobs come to the engine."""

import re
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from uwsd.backends.base import BackendError, TaskRefused, Unreachable
from uwsd.backends.docker.bell import Bell
from uwsd.backends.docker.engine import Engine

_PAUSES = (2.0, 4.0, 8.0, 16.0, 0.0)  # seconds after each try
_AT_ONE_TIME = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """How an image is coming, or how that ended."""

    since: int  #: when it began, in nanoseconds since 1970
    percent: int = 0
    trouble: str = ""  #: what went wrong last
    outcome: str = ""  #: "done" or "failed"; empty while it goes on
    will_never_be: bool = False  #: whether trying again is of no use

    def describe(self, image: str) -> str:
        """Say for people how it goes."""
        again = f"; the last try failed: {self.trouble}" if self.trouble else ""
        return f"pulling image {image}, {self.percent} %{again}"


class Pulls:
    """The images that are being fetched, and how it went; of no use to another instance."""

    def __init__(self, engine: Engine, bell: Bell) -> None:
        self._engine = engine
        self._bell = bell
        self._pulls: dict[str, Pull] = {}
        self._turns = threading.Semaphore(_AT_ONE_TIME)
        self._lock = threading.Lock()

    def latest(self, image: str) -> Pull | None:
        """Return what is known of the last attempt, by this instance, to fetch the image."""
        return self._pulls.get(image)

    def begin(self, image: str) -> None:
        """Fetch an image in the background, unless that is going on."""
        with self._lock:
            latest = self._pulls.get(image)
            if latest is not None and not latest.outcome:
                return
            self._pulls[image] = Pull(since=time.time_ns())
        threading.Thread(target=self._carry_out, args=(image,), daemon=True).start()

    def _carry_out(self, image: str) -> None:
        with self._turns:
            last = self._try_again_and_again(image)
        if last is None:
            del self._pulls[image]
        else:
            self._pulls[image] = last
        self._bell.ring()

    def _try_again_and_again(self, image: str) -> Pull | None:
        for pause in _PAUSES:
            try:
                self._pull(image)
            except Unreachable:
                return None  # who needs the image asks for it again when the engine is back
            except TaskRefused as refusal:
                self._note(image, trouble=str(refusal), will_never_be=True)
                break
            except BackendError as error:
                self._note(image, trouble=str(error))
                time.sleep(pause)
            else:
                return replace(self._pulls[image], outcome="done")
        return replace(self._pulls[image], outcome="failed")

    def _pull(self, image: str) -> None:
        sizes: dict[str, tuple[int, int]] = {}
        for line in self._engine.pull(image):
            if "error" in line:
                raise _failure(str(line["error"]))
            sizes.update(_downloaded(line))
            percent = _percent(sizes.values())
            if percent != self._pulls[image].percent:
                self._note(image, percent=percent)

    def _note(self, image: str, **news: Any) -> None:
        self._pulls[image] = replace(self._pulls[image], **news)


_NEVER = re.compile("not found|unknown|denied|unauthorized|no such|does not exist|invalid")
"""What a registry says of an image that it has not, or does not give us: trying again is no use."""


def _failure(words: str) -> BackendError:
    kind = TaskRefused if _NEVER.search(words.lower()) else BackendError
    return kind(f"the engine says: {words}")


def _downloaded(line: Mapping[str, Any]) -> Mapping[str, tuple[int, int]]:
    """Return the bytes there and in all of the layer that a line of progress tells of."""
    detail = line.get("progressDetail") or {}
    if line.get("status") == "Downloading" and detail.get("total"):
        return {str(line.get("id")): (int(detail["current"]), int(detail["total"]))}
    return {}


def _percent(sizes: Collection[tuple[int, int]]) -> int:
    total = sum(size for _, size in sizes)
    return 100 * sum(there for there, _ in sizes) // total if total else 0
