"""What the cluster does not do by itself: exact deadlines, giving up, its controllers' arrears."""

import logging
import math
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from uwsd.backends.base import Handle
from uwsd.backends.kubernetes.cluster import Cluster
from uwsd.backends.kubernetes.endings import Ending, too_long
from uwsd.backends.kubernetes.manifest import ceiling
from uwsd.backends.kubernetes.names import DURATION, STARTED, Json
from uwsd.backends.kubernetes.objects import (
    annotation,
    duration_of,
    is_alive,
    moment,
    started,
)
from uwsd.backends.kubernetes.options import Options
from uwsd.backends.kubernetes.states import Trouble, Verdict

_OVERDUE = 30.0  #: seconds that the cluster's controllers may be late before we do their work
_MOST = 100  #: changes between two calls of `begin`: what is left is for the next round

_log = logging.getLogger(__name__)


class Chores:
    """Call `begin`, and then `see_to` each job."""

    def __init__(self, cluster: Cluster, options: Options) -> None:
        self._cluster = cluster
        self._options = options
        self._troubled: dict[Handle, float] = {}  # since when, on the monotonic clock
        self._ending: dict[Handle, float] = {}
        self._left = _MOST

    def begin(self) -> None:
        """Begin a round."""
        self._left = _MOST

    def see_to(self, handle: Handle, job: Json, pods: Collection[Json], verdict: Verdict) -> None:
        """Do what is to be done about a job."""
        report, ending = verdict.report, Ending.of(job)
        if report.state.is_over:
            self.forget(handle)
        elif ending:
            self._make_sure(handle, pods)
        elif self._is_hopeless(handle, verdict.trouble):
            self._give_up(job, report.message)
        elif report.started and duration_of(job):
            self._keep_time(job, pods, report.started)

    def forget(self, handle: Handle) -> None:
        """Forget what was remembered of a job."""
        self._troubled.pop(handle, None)
        self._ending.pop(handle, None)

    def limit(self, job: Json, pods: Collection[Json], duration: int) -> None:
        """Give a job its duration: Kubernetes' own clock began when it was still waiting."""
        annotations: dict[str, str | None] = {DURATION: f"{duration}"}
        seconds = ceiling(self._options, duration)
        counted = moment(job.get("status", {}).get("startTime"))
        since = next(filter(None, map(started, pods)), None)
        if since:
            annotations[STARTED] = since.isoformat()
        if duration and since and counted:
            seconds = max(1, math.ceil((since - counted).total_seconds()) + duration)
        self._cluster.patch(job, annotations, activeDeadlineSeconds=seconds)

    def _may_change(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def _make_sure(self, handle: Handle, pods: Collection[Json]) -> None:
        """End a pod that should have been ended by now."""
        since = self._ending.setdefault(handle, time.monotonic())
        if time.monotonic() > since + self._options.grace + _OVERDUE:
            self._delete(pods)

    def _is_hopeless(self, handle: Handle, trouble: Trouble) -> bool:
        if trouble is Trouble.NONE:
            self._troubled.pop(handle, None)
            return False
        since = self._troubled.setdefault(handle, time.monotonic())
        return trouble is Trouble.FOR_GOOD or time.monotonic() > since + self._options.give_up

    def _give_up(self, job: Json, message: str) -> None:
        if self._may_change():
            self._cluster.end(job, Ending("hopeless", message))

    def _keep_time(self, job: Json, pods: Collection[Json], since: datetime) -> None:
        duration = duration_of(job)
        if not annotation(job, STARTED):
            if self._may_change():
                self.limit(job, pods, duration)
        elif datetime.now(UTC) > since + timedelta(seconds=duration + _OVERDUE):
            self._cluster.end(job, Ending("duration", too_long(f"{duration}")))
            self._delete(pods)

    def _delete(self, pods: Collection[Json]) -> None:
        """Do what the controller should have done; a deletion that was asked for is repeated."""
        for pod in filter(is_alive, pods):
            if self._may_change():
                _log.warning("the cluster does not end pod %s in time", pod["metadata"]["name"])
                self._cluster.api.delete_pod(pod, 1)
