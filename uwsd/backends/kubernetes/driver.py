"""The Kubernetes backend."""

import fcntl
import logging
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from uwsd.backends import ticket
from uwsd.backends.base import (
    Backend,
    BackendError,
    Handle,
    Progress,
    Report,
    State,
    Task,
)
from uwsd.backends.kubernetes.chores import Chores
from uwsd.backends.kubernetes.cluster import Cluster
from uwsd.backends.kubernetes.endings import Ending
from uwsd.backends.kubernetes.fetching import Fetching
from uwsd.backends.kubernetes.manifest import manifest
from uwsd.backends.kubernetes.names import Json
from uwsd.backends.kubernetes.objects import duration_of, is_alive, is_of, is_over
from uwsd.backends.kubernetes.options import Options
from uwsd.backends.kubernetes.rights import Rights
from uwsd.backends.kubernetes.states import Verdict, judge
from uwsd.backends.kubernetes.warnings import Warnings
from uwsd.backends.progress import read_progress
from uwsd.backends.workspace import check, hand_over, lay_out

_PATIENCE = 2.5  #: seconds that releases wait for pods to be gone, in all, between two polls
_PAUSE = 0.05

_log = logging.getLogger(__name__)


class KubernetesBackend(Backend):
    """A backend for one namespace of one cluster. A handle is the job's id."""

    def __init__(self, root: Path, options: Options, name: str = "kubernetes") -> None:
        self._root = root.absolute()
        self._options = options
        self._cluster = Cluster(self._root, options)
        self._chores = Chores(self._cluster, options)
        self._fetching = Fetching(self._cluster, options, self._root, name)
        self._warnings = Warnings(self._cluster.api)
        self._rights = Rights(self._cluster.api, options, self._root)
        self._patience = _PATIENCE

    def submit(self, task: Task) -> Handle:
        """Create the Job, unless it is there; it waits while inputs are being fetched."""
        check(task)
        name = self._cluster.name(task.job_id)
        with self._alone():
            job = self._cluster.job_now(name) or self._hand_over(task, name)
            self._fetching.begin(task, job)
        return Handle(task.job_id)

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Report on every handle asked about, and do what the cluster does not do by itself."""
        self._cluster.mirror.refresh()
        self._patience = _PATIENCE
        self._chores.begin()
        self._fetching.see_to(handles)
        return {handle: self._report(handle) for handle in handles}

    def cancel(self, handle: Handle) -> None:
        """Have the Job end now, and note on it that this was asked."""
        name = self._cluster.name(handle)
        job = self._cluster.job_now(name)
        if job is None or is_over(job) or Ending.of(job):
            return
        pods = [pod for pod in self._cluster.pods_now(name) if is_of(pod, job)]
        if not self._judge(job, pods).report.state.is_over:
            self._fetching.stop(handle, job)
            self._cluster.end(job, Ending("cancel"))

    def release(self, handle: Handle) -> None:
        """Delete the Job and its pods; wait a little until what runs has ended."""
        name = self._cluster.name(handle)
        job = self._cluster.job_now(name)
        running = [pod for pod in self._cluster.pods_now(name) if is_alive(pod)]
        if job is not None:
            self._fetching.stop(handle, job)
        self._delete(name, job, running)
        self._cluster.mirror.forget(name)
        self._chores.forget(handle)

    def find(self, job_id: str) -> Handle | None:
        """Return the id itself, if there is a Job."""
        return Handle(job_id) if self._cluster.job_now(self._cluster.name(job_id)) else None

    def amend(self, handle: Handle, duration: int) -> None:
        """Let the job run for ``duration`` seconds in all (0: no limit), up to what its pod may."""
        job = self._cluster.job(self._cluster.name(handle))
        if job and not is_over(job) and not Ending.of(job) and duration_of(job) != duration:
            self._chores.limit(job, self._cluster.pods(job), duration)

    def progress(self, handle: Handle) -> Progress | None:
        """Read the job's own file."""
        return read_progress(self._root / handle)

    def wakeups(self) -> Collection[int]:
        """Return what is readable when a watch has news, or inputs are there."""
        return (self._cluster.mirror.wakeup, *self._fetching.wakeups())

    def check(self) -> str | None:
        """Say what the server's account may not do, or what there is not."""
        return self._rights.check()

    def close(self) -> None:
        """End the watches and the connections."""
        self._cluster.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from preparing the same workspace, which a job may have by then."""
        with (self._root / ".kubernetes.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _hand_over(self, task: Task, name: str) -> Json:
        workspace = self._root / task.job_id
        if fault := self._rights.fault:
            raise BackendError(fault)
        body = manifest(task, name, self._cluster.instance, self._options, workspace)
        lay_out(task, workspace)
        if self._options.claim:
            hand_over(workspace, self._options.run_as_user, self._options.run_as_group)
        return self._cluster.create(body)

    def _report(self, handle: Handle) -> Report:
        name = self._cluster.name(handle)
        job = self._cluster.job(name)
        if job is None:
            return self._lost(name)
        pods = self._cluster.pods(job)
        if not pods and is_over(job):
            # It may only be that the Job's end was heard of sooner than the pod's.
            pods = [pod for pod in self._cluster.pods_now(name) if is_of(pod, job)]
        verdict = self._judge(job, pods)
        try:
            self._chores.see_to(handle, job, pods, verdict)
        except BackendError as error:
            _log.warning("job %s: %s; will try again", handle, error)
        if verdict.report.state.is_over and not self._options.claim:
            ticket.revoke(self._root / handle)
        if verdict.report.state is State.RUNNING:
            return replace(verdict.report, progress=self.progress(handle))
        return verdict.report

    def _judge(self, job: Json, pods: Collection[Json]) -> Verdict:
        return judge(job, pods, self._warnings.of, datetime.now(UTC))

    def _lost(self, name: str) -> Report:
        """Return what to say of a job whose Job is gone; whatever is left of it is ended."""
        running = [pod for pod in self._cluster.pods_now(name) if is_alive(pod)]
        for pod in running:
            if "deletionTimestamp" not in pod["metadata"]:
                self._cluster.api.delete_pod(pod, self._options.grace)
        if running:
            message = "its Job was deleted, and its pod is being ended"
            return Report(state=State.UNKNOWN, message=message)
        return Report(state=State.LOST, message="there is no such Job in the cluster")

    def _delete(self, name: str, job: Json | None, running: Collection[Json]) -> None:
        """Delete a Job. One that may have something that runs stays until that has ended."""
        over = job is None or is_over(job)
        if job is not None:
            policy = "Background" if over and not running else "Foreground"
            self._cluster.api.delete_job(job, policy)
        for pod in running:
            self._cluster.api.delete_pod(pod, 1)
        while (running or not over) and self._is_there(name):
            if self._patience <= 0:
                raise BackendError(f"{name} is still being stopped")
            time.sleep(_PAUSE)
            self._patience -= _PAUSE

    def _is_there(self, name: str) -> bool:
        gone = self._cluster.api.job(name) is None
        return not gone or any(map(is_alive, self._cluster.pods_now(name)))
