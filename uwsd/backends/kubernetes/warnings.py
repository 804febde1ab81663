"""What went wrong of late, from events: only they say why a Job gets no pod, or a pod no volume."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from uwsd.backends.base import BackendError
from uwsd.backends.kubernetes.api import Api
from uwsd.backends.kubernetes.names import Json
from uwsd.backends.kubernetes.objects import moment

_TOLD = frozenset(
    (
        "FailedAttachVolume",
        "FailedCreate",
        "FailedCreatePodSandBox",
        "FailedMapVolume",
        "FailedMount",
        "NetworkNotReady",
    )
)
"""Reasons that are passed on; the others are told by the objects themselves."""

_PACE = 5.0  #: seconds between two questions
_OLD = timedelta(minutes=5)  #: what is tried again and fails again has a newer event by then

_log = logging.getLogger(__name__)


class Warnings:
    """The newest warning of each object, asked for when somebody wants to know."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._said: Mapping[str, str] = {}
        self._next = 0.0

    def of(self, thing: Json) -> str:
        """Return what was said of an object in the last minutes, or nothing."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PACE
            try:
                self._said = _newest(self._api.warnings())
            except BackendError as error:  # it is only for people
                _log.warning("events cannot be read: %s", error)
        return self._said.get(thing["metadata"]["uid"], "")


def _newest(events: list[Json]) -> Mapping[str, str]:
    now = datetime.now(UTC)
    told = [(_at(event), event) for event in events if event.get("reason") in _TOLD]
    recent = sorted(((at, e) for at, e in told if now - at < _OLD), key=lambda pair: pair[0])
    return {event["involvedObject"].get("uid", ""): event.get("message", "") for _, event in recent}


def _at(event: Json) -> datetime:
    series = event.get("series") or {}
    texts = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next(filter(None, map(moment, texts)), datetime.min.replace(tzinfo=UTC))
