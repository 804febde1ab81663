"""All our Jobs and pods, kept up to date by watches, so that a tick asks nothing.

A watch is only a hint. When one ends with an error, a server has forgotten where it was (410), or
nothing is known yet, the next question lists everything anew; it does so now and then in any case.
What is not here may be there all the same: who wants to be sure asks for it by name.
"""

import logging
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock, Thread

from uwsd.backends.base import Unreachable
from uwsd.backends.kubernetes.api import Api, Listing, Stream
from uwsd.backends.kubernetes.names import Json

_RELIST = 300.0  #: seconds
_WATCH = (40, 60)  #: seconds that one watch lasts: a dead connection is not noticed for longer
_TOO_SHORT = 1.0  #: seconds: a watch that ends so soon is none

_log = logging.getLogger(__name__)


class Mirror:
    """What the cluster has of ours. `refresh` before reading; reading costs nothing."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._lock = Lock()
        self._jobs: dict[str, Json] = {}
        self._pods: dict[str, dict[str, Json]] = defaultdict(dict)
        self._round = 0  # watches of an earlier round have nothing to say
        self._live = False
        self._listed = 0.0
        self._streams: dict[Stream, None] = {}
        self.wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def refresh(self) -> None:
        """Make sure that everything is as of now; raise `Unreachable` when it cannot be."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.wakeup)
        if self._live and time.monotonic() < self._listed + _RELIST:
            return
        self._stop()
        jobs, pods = self.api.jobs(), self.api.pods()
        with self._lock:
            self._jobs = {job["metadata"]["name"]: job for job in jobs.items}
            self._pods = defaultdict(dict)
            for pod in pods.items:
                self._pods[job_name(pod)][pod["metadata"]["name"]] = pod
        self._listed = time.monotonic()
        self._follow(jobs, pods)

    def job(self, name: str) -> Json | None:
        """Return a Job, if it is known."""
        with self._lock:
            return self._jobs.get(name)

    def pods(self, name: str) -> list[Json]:
        """Return the pods of the Job of this name, also of others that had it."""
        with self._lock:
            return list(self._pods.get(name, {}).values())

    def orphans(self) -> Mapping[str, list[Json]]:
        """Return the pods whose Job is not known, by its name."""
        with self._lock:
            return {n: list(p.values()) for n, p in self._pods.items() if p and n not in self._jobs}

    def put(self, job: Json) -> None:
        """Take note of an answer about a Job."""
        with self._lock:
            _put(self._jobs, job)

    def forget(self, name: str) -> None:
        """Take note that a Job is gone."""
        with self._lock:
            self._jobs.pop(name, None)

    def close(self) -> None:
        """End the watches."""
        self._stop()
        os.close(self.wakeup)

    def _follow(self, jobs: Listing, pods: Listing) -> None:
        self._live = True
        for watch, listing, hear in (
            (self.api.watch_jobs, jobs, self._hear_of_job),
            (self.api.watch_pods, pods, self._hear_of_pod),
        ):
            arguments = (self._round, watch, listing.version, hear)
            Thread(target=self._watch, args=arguments, name="kubernetes watch", daemon=True).start()

    def _stop(self) -> None:
        self._round += 1
        self._live = False
        for stream in list(self._streams):
            stream.close()

    def _watch(
        self,
        round_: int,
        watch: Callable[[str, int], Stream],
        version: str,
        hear: Callable[[Json], bool],
    ) -> None:
        """Hear of every change until there is an error."""
        while round_ == self._round:
            began = time.monotonic()
            try:
                version = self._hear(round_, watch(version, random.randint(*_WATCH)), version, hear)  # noqa: S311
            except (Unreachable, _Forgotten) as error:
                _log.debug("a watch has ended: %s", error)
                break
            if time.monotonic() < began + _TOO_SHORT:
                break
        if round_ == self._round:
            self._live = False
            self._wake()

    def _hear(self, round_: int, stream: Stream, version: str, hear: Callable[[Json], bool]) -> str:
        """Read one watch to its end; return the version to go on from."""
        self._streams[stream] = None
        try:
            for event in stream:
                if round_ != self._round:
                    break
                if event["type"] == "ERROR":
                    raise _Forgotten(event["object"].get("message"))
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK" and hear(event):
                    self._wake()
        finally:
            self._streams.pop(stream, None)
            stream.release()
        return version

    def _hear_of_job(self, event: Json) -> bool:
        job = event["object"]
        with self._lock:
            return _take(self._jobs, event, _job_news(job))

    def _hear_of_pod(self, event: Json) -> bool:
        pod = event["object"]
        with self._lock:
            pods = self._pods[job_name(pod)]
            is_news = _take(pods, event, _pod_news(pod))
            if not pods:
                del self._pods[job_name(pod)]
            return is_news

    def _wake(self) -> None:
        with suppress(OSError):  # it may be closed by now
            os.eventfd_write(self.wakeup, 1)


class _Forgotten(Exception):
    """The server does not know any more what has changed since."""


def job_name(pod: Json) -> str:
    """Return the name of the Job that a pod was made for."""
    labels = pod["metadata"].get("labels") or {}
    return str(labels.get("batch.kubernetes.io/job-name") or labels.get("job-name", ""))


def _take(known: dict[str, Json], event: Json, news: object) -> bool:
    """Take note of an event; say whether it changes anything that matters."""
    thing = event["object"]
    name = thing["metadata"]["name"]
    if event["type"] == "DELETED":
        return known.pop(name, None) is not None
    before = known.get(name)
    was = before and (_pod_news if "containers" in before["spec"] else _job_news)(before)
    return _put(known, thing) and was != news


def _put(known: dict[str, Json], thing: Json) -> bool:
    """Take note of an object, unless a later version is known."""
    name = thing["metadata"]["name"]
    before = known.get(name)
    if before is not None and _version(before) > _version(thing):
        return False
    known[name] = thing
    return True


def _version(thing: Json) -> int:
    version = thing["metadata"].get("resourceVersion", "")
    return int(version) if version.isdecimal() else 0


def _job_news(job: Json) -> object:
    conditions = job.get("status", {}).get("conditions") or ()
    return job["spec"].get("suspend"), [(c["type"], c["status"]) for c in conditions]


def _pod_news(pod: Json) -> object:
    status = pod.get("status", {})
    containers = [
        (each["name"], state, (detail or {}).get("reason"))
        for each in status.get("containerStatuses") or ()
        for state, detail in each.get("state", {}).items()
    ]
    conditions = [
        (c["type"], c["status"], c.get("message")) for c in status.get("conditions") or ()
    ]
    return status.get("phase"), status.get("reason"), containers, conditions
