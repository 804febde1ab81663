"""The Kubernetes backend."""

import fcntl
import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path

from uwsd.backends.base import (
    Backend,
    BackendError,
    Handle,
    Progress,
    Report,
    State,
    Task,
)
from uwsd.backends.kubernetes.api import Api, Exists
from uwsd.backends.kubernetes.manifest import (
    DURATION,
    ENDING,
    INSTANCE,
    STARTED,
    Json,
    ceiling,
    manifest,
    selector,
    sub_path,
)
from uwsd.backends.kubernetes.mirror import Mirror
from uwsd.backends.kubernetes.options import Options
from uwsd.backends.kubernetes.rights import Rights
from uwsd.backends.kubernetes.states import (
    Ending,
    Trouble,
    Verdict,
    annotation,
    is_alive,
    is_over,
    judge,
    moment,
    started,
    too_long,
)
from uwsd.backends.kubernetes.warnings import Warnings
from uwsd.backends.names import instance, key
from uwsd.backends.progress import read_progress
from uwsd.backends.workspace import check, hand_over, lay_out

_PATIENCE = 5.0  #: seconds that releases wait for pods to be gone, in all, between two polls
_OVERDUE = 30.0  #: seconds that the cluster's controllers may be late before we do their work
_PAUSE = 0.05
_CHORES = 100  #: changes that one poll makes

_log = logging.getLogger(__name__)


class KubernetesBackend(Backend):
    """A backend for one namespace of one cluster. A handle is the job's id."""

    def __init__(self, root: Path, options: Options) -> None:
        self._root = root.absolute()
        self._options = options
        self._instance = instance(self._root)
        self._name: Callable[[str], str] = lru_cache(1 << 16)(partial(key, self._root))
        self._api = Api(options, selector(self._instance))
        self._mirror = Mirror(self._api)
        self._warnings = Warnings(self._api)
        self._rights = Rights(self._api, options)
        self._troubled: dict[Handle, float] = {}  # since when, on the monotonic clock
        self._ending: dict[Handle, float] = {}  # since when we wait for its end
        self._patience = _PATIENCE
        self._chores = 0

    def submit(self, task: Task) -> Handle:
        """Create the Job, unless it is there."""
        check(task)
        name, workspace = self._name(task.job_id), self._root / task.job_id
        with self._alone():
            if self._own(name) is None:
                body = self._manifest(task, name, workspace)
                lay_out(task, workspace)
                hand_over(workspace, self._options.run_as_user, self._options.run_as_group)
                self._create(name, body)
        return Handle(task.job_id)

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Report on every handle asked about, and see to what the cluster has not seen to."""
        self._mirror.refresh()
        self._patience, self._chores = _PATIENCE, _CHORES
        return {handle: self._report(handle) for handle in handles}

    def cancel(self, handle: Handle) -> None:
        """Have the Job end now, and note on it that this was asked."""
        name = self._name(handle)
        job = self._own(name)
        if job is None or is_over(job) or Ending.of(job):
            return
        if not judge(job, self._pods(name, job), _no_warning, datetime.now(UTC)).report.state.is_over:
            self._end(job, Ending("cancel"))

    def release(self, handle: Handle) -> None:
        """Delete the Job and its pods; wait a little until what runs has ended."""
        name = self._name(handle)
        job = self._own(name)
        running = [pod for pod in self._pods(name) if is_alive(pod)]
        if job is not None:
            # A Job that may have something that runs stays until that has ended; nobody need wait
            # for the pods of one that is over.
            gone = is_over(job) and not running
            self._api.delete_job(job, "Background" if gone else "Foreground")
            job = None if gone else job
        for pod in running:
            self._api.delete_pod(pod, 1)
        if job is not None or running:
            self._wait_until_gone(name)
        self._mirror.forget(name)
        self._troubled.pop(handle, None)
        self._ending.pop(handle, None)

    def find(self, job_id: str) -> Handle | None:
        """Return the id itself, if there is a Job."""
        return Handle(job_id) if self._own(self._name(job_id)) else None

    def amend(self, handle: Handle, duration: int) -> None:
        """Let the job run for ``duration`` seconds in all (0: no limit), up to what its pod may."""
        name = self._name(handle)
        job = self._mirror.job(name) or self._own(name)
        if job is None or is_over(job) or Ending.of(job) or _duration(job) == duration:
            return
        self._patch(job, self._limit(job, self._mirror.pods(name), duration))

    def progress(self, handle: Handle) -> Progress | None:
        """Read the job's own file."""
        return read_progress(self._root / handle)

    def wakeups(self) -> Collection[int]:
        """Return what is readable when a watch has news."""
        return (self._mirror.wakeup,)

    def check(self) -> str | None:
        """Say what the server's account may not do, or what there is not."""
        return self._rights.check(self._root)

    def close(self) -> None:
        """End the watches and the connections."""
        self._mirror.close()
        self._api.close()

    # Handing over

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from preparing the same workspace, which a job may have by then."""
        with (self._root / ".kubernetes.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _own(self, name: str) -> Json | None:
        """Ask for a Job of ours."""
        job = self._api.job(name)
        if job is None or job["metadata"].get("labels", {}).get(INSTANCE) != self._instance:
            return None
        self._mirror.put(job)
        return job

    def _manifest(self, task: Task, name: str, workspace: Path) -> Json:
        try:
            sub_path(self._options, workspace)
        except ValueError:
            raise BackendError(self._rights.check(self._root) or "") from None
        return manifest(
            task,
            name=name,
            instance=self._instance,
            options=self._options,
            workspace=workspace,
            suspend=False,
        )

    def _create(self, name: str, body: Json) -> None:
        try:
            self._mirror.put(self._api.create_job(body))
        except Exists:
            if self._own(name) is None:
                raise BackendError(f"there is a Job {name} of somebody else") from None

    # Looking

    def _report(self, handle: Handle) -> Report:
        name = self._name(handle)
        job = self._mirror.job(name) or self._own(name)
        if job is None:
            return self._lost(name)
        pods = [pod for pod in self._mirror.pods(name) if _is_of(pod, job)]
        if not pods and is_over(job):
            # It may only be that the Job's end was heard of sooner than the pod's.
            pods = self._pods(name, job)
        verdict = judge(job, pods, self._warnings.of, datetime.now(UTC))
        try:
            self._see_to(handle, job, pods, verdict)
        except BackendError as error:
            _log.warning("job %s: %s; will try again", handle, error)
        if verdict.report.state is State.RUNNING:
            return replace(verdict.report, progress=self.progress(handle))
        return verdict.report

    def _pods(self, name: str, job: Json | None = None) -> list[Json]:
        """Ask for the pods of a Job, or of all Jobs that have had its name."""
        pods = self._api.pods(f"job-name={name}").items
        return [pod for pod in pods if job is None or _is_of(pod, job)]

    def _lost(self, name: str) -> Report:
        """Return what to say of a job whose Job is gone; whatever is left of it is ended."""
        running = [pod for pod in self._pods(name) if is_alive(pod)]
        for pod in running:
            if "deletionTimestamp" not in pod["metadata"]:
                self._api.delete_pod(pod, self._options.grace)
        if running:
            message = "its Job was deleted, and its pod is being ended"
            return Report(state=State.UNKNOWN, message=message)
        return Report(state=State.LOST, message="there is no such Job in the cluster")

    # What the cluster does not do by itself

    def _see_to(
        self, handle: Handle, job: Json, pods: Collection[Json], verdict: Verdict
    ) -> None:
        state, ending = verdict.report.state, Ending.of(job)
        if state.is_over or not self._chores:
            self._troubled.pop(handle, None)
            self._ending.pop(handle, None)
        elif ending:
            self._make_sure(handle, pods)
        elif self._is_hopeless(handle, verdict.trouble):
            self._end(job, Ending("hopeless", verdict.report.message))
        elif verdict.report.started and _duration(job):
            self._keep_time(job, pods, verdict.report.started)

    def _make_sure(self, handle: Handle, pods: Collection[Json]) -> None:
        """End a pod that should have been ended by now: the cluster's controllers are stuck."""
        since = self._ending.setdefault(handle, time.monotonic())
        if time.monotonic() > since + self._options.grace + _OVERDUE:
            self._delete(pods)

    def _is_hopeless(self, handle: Handle, trouble: Trouble) -> bool:
        if trouble is Trouble.NONE:
            self._troubled.pop(handle, None)
            return False
        since = self._troubled.setdefault(handle, time.monotonic())
        return trouble is Trouble.FOR_GOOD or time.monotonic() > since + self._options.give_up

    def _keep_time(self, job: Json, pods: Collection[Json], since: datetime) -> None:
        """Have a job that has started end in time: Kubernetes' own clock began while it waited."""
        if not annotation(job, STARTED):
            self._patch(job, self._limit(job, pods, _duration(job)))
        elif datetime.now(UTC) > since + timedelta(seconds=_duration(job) + _OVERDUE):
            self._end(job, Ending("duration", too_long(annotation(job, DURATION))))
            self._delete(pods)

    def _limit(self, job: Json, pods: Collection[Json], duration: int) -> Json:
        """Return a patch that gives a job its duration."""
        annotations, seconds = {DURATION: f"{duration}"}, ceiling(self._options, duration)
        counted = moment(job.get("status", {}).get("startTime"))
        since = next(filter(None, map(started, pods)), None)
        if duration and since and counted:
            annotations[STARTED] = since.isoformat()
            seconds = max(1, math.ceil((since - counted).total_seconds()) + duration)
        return _patch(annotations, seconds)

    def _end(self, job: Json, ending: Ending) -> None:
        """Have Kubernetes end a Job as one that is late; why is noted with the same breath."""
        self._patch(job, _patch({ENDING: ending.dump()}, 0))

    def _patch(self, job: Json, patch: Json) -> None:
        self._chores = max(0, self._chores - 1)
        changed = self._api.patch_job(job, patch)
        if changed is not None:
            self._mirror.put(changed)

    def _delete(self, pods: Collection[Json]) -> None:
        for pod in filter(is_alive, pods):
            _log.warning("the cluster does not end pod %s in time", pod["metadata"]["name"])
            self._api.delete_pod(pod, 1)

    def _wait_until_gone(self, name: str) -> None:
        while self._api.job(name) is not None or any(map(is_alive, self._pods(name))):
            if self._patience <= 0:
                raise BackendError(f"{name} is still being stopped")
            time.sleep(_PAUSE)
            self._patience -= _PAUSE


def _duration(job: Json) -> int:
    text = annotation(job, DURATION)
    return int(text) if text.isdecimal() else 0


def _patch(annotations: Mapping[str, str], seconds: int) -> Json:
    return {
        "metadata": {"annotations": dict(annotations)},
        "spec": {"activeDeadlineSeconds": seconds},
    }


def _is_of(pod: Json, job: Json) -> bool:
    """Whether a pod is this very Job's: another one may have had its name."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == job["metadata"]["uid"] for owner in owners)


def _no_warning(_: Json) -> str:
    return ""
