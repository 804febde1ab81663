"""What a Job is suspended for: inputs by URL, which the server fetches, and a ticket for staging.

The Job's annotation `FETCHING` tells how far it is, for a server that takes over:

==========  ===========================================================================
``begun``   a worker of `uwsd.backends.inputs` has it, or will have when it is submitted again
``done``    everything is there; the worker's files are removed before the job can see them
(absent)    the Job may start
==========  ===========================================================================
"""

import logging
from collections.abc import Callable, Collection
from pathlib import Path

from uwsd.backends import ticket
from uwsd.backends.base import BackendError, Handle, Report, State, Task
from uwsd.backends.inputs import Inputs
from uwsd.backends.kubernetes.cluster import Cluster
from uwsd.backends.kubernetes.endings import Ending
from uwsd.backends.kubernetes.names import FETCHING, QUEUE, Json
from uwsd.backends.kubernetes.objects import annotation
from uwsd.backends.kubernetes.options import Options
from uwsd.backends.kubernetes.staging import secret
from uwsd.backends.workspace import hand_over

_log = logging.getLogger(__name__)


class Fetching:
    """Sees to the Jobs that wait for their inputs."""

    def __init__(self, cluster: Cluster, options: Options, root: Path, name: str) -> None:
        self._cluster = cluster
        self._options = options
        self._root = root
        self._inputs = Inputs(root, name)

    def begin(self, task: Task, job: Json) -> None:
        """Begin to fetch what a task names, unless that has begun."""
        if annotation(job, FETCHING) == "begun":
            self._inputs.fetch(task)

    def see_to(self, handles: Collection[Handle]) -> None:
        """Let the Jobs go on whose inputs are there; end those that cannot have them."""
        waiting = {handle: job for handle in handles if (job := self._job(handle))}
        begun = [handle for handle in waiting if annotation(waiting[handle], FETCHING) == "begun"]
        for handle, report in self._inputs.poll(begun).items():
            self._try(self._hear, handle, waiting[handle], report)
        for handle in waiting.keys() - set(begun):
            self._try(self._let_go, handle, waiting[handle])

    def stop(self, handle: Handle, job: Json) -> None:
        """Fetch no more for a job that is not wanted any more."""
        if annotation(job, FETCHING):
            self._inputs.forget(handle)

    def wakeups(self) -> Collection[int]:
        """Return what becomes readable when inputs are there."""
        return self._inputs.wakeups()

    def _job(self, handle: Handle) -> Json | None:
        job = self._cluster.mirror.job(self._cluster.name(handle))
        return job if job and annotation(job, FETCHING) and not Ending.of(job) else None

    def _try(self, step: Callable[..., None], handle: Handle, *more: object) -> None:
        try:
            step(handle, *more)
        except BackendError as error:
            _log.warning("job %s: %s; will try again", handle, error)

    def _hear(self, handle: Handle, job: Json, report: Report) -> None:
        if report.state is State.DONE:
            self._cluster.patch(job, {FETCHING: "done"})
            self._let_go(handle, job)
        elif report.state.is_over:
            self._cluster.end(job, Ending("hopeless", report.message))
            self._inputs.forget(handle)

    def _let_go(self, handle: Handle, job: Json) -> None:
        self._inputs.forget(handle)
        workspace = self._root / handle
        if self._options.claim:
            hand_over(workspace, self._options.run_as_user, self._options.run_as_group)
        else:
            own = ticket.issue(workspace, self._options.scratch)
            self._cluster.api.put_secret(secret(job, own))
        queue = self._options.queue
        labels = {QUEUE: queue} if queue else {}
        self._cluster.patch(job, {FETCHING: None}, labels, suspend=bool(queue))
