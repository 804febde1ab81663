"""What a Job and its pod say, and what it means: tables, and a pure function that reads them.

The pod's word comes first, because it knows how the command ended; the Job's condition is for what
no pod tells. A pod that was told to end says nothing of why: that is in the Job's condition, or in
the annotation that the server left (`Ending`).
"""

import json
import signal
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any

from uwsd.backends.base import Report, State
from uwsd.backends.kubernetes.manifest import (
    CONTAINER,
    DURATION,
    ENDING,
    FETCHING,
    QUEUE,
    STARTED,
    Json,
)


class Trouble(Enum):
    """What is to be expected of a job that does not start."""

    NONE = auto()
    FOR_NOW = auto()  #: it may get better by itself; it is given up if it does not
    FOR_GOOD = auto()  #: it never will


_WAITING: Mapping[str, Trouble] = {
    "": Trouble.NONE,
    "ContainerCreating": Trouble.NONE,
    "PodInitializing": Trouble.NONE,
    "ErrImagePull": Trouble.FOR_NOW,
    "ImagePullBackOff": Trouble.FOR_NOW,
    "ImageInspectError": Trouble.FOR_NOW,
    "RegistryUnavailable": Trouble.FOR_NOW,
    "SignatureValidationFailed": Trouble.FOR_NOW,
    "CreateContainerError": Trouble.FOR_NOW,
    "RunContainerError": Trouble.FOR_NOW,
    "PostStartHookError": Trouble.FOR_NOW,
    "CreateContainerConfigError": Trouble.FOR_GOOD,
    "ErrImageNeverPull": Trouble.FOR_GOOD,
    "InvalidImageName": Trouble.FOR_GOOD,
}
"""Why a container waits."""

_NO_POD: Mapping[str, Trouble] = {
    "exceeded quota": Trouble.NONE,  # other jobs have it: this one's turn will come
    "": Trouble.FOR_NOW,
}
"""Why a Job has no pod, by words in the event that tells; the first that fits."""

_POD_REASONS: Mapping[str, tuple[State, str]] = {
    "DeadlineExceeded": (State.EXCEEDED, "it was stopped when it had run for as long as it may"),
    "Evicted": (State.FAILED, "its node had no room left for it"),
    "NodeAffinity": (State.FAILED, "its node is not one it may run on any more"),
    "NodeLost": (State.FAILED, "its node was lost"),
    "NodeShutdown": (State.FAILED, "its node was shut down"),
    "Shutdown": (State.FAILED, "its node was shut down"),
    "Terminated": (State.FAILED, "its node was shut down"),
    "Preempting": (State.FAILED, "it made room for a more important pod"),
    "UnexpectedAdmissionError": (State.FAILED, "its node could not take it"),
    "OutOf": (State.FAILED, "its node had no room for it"),
}
"""Why a pod failed as a whole; a name's beginning is enough."""

_USED_TOO_MUCH = ("exceeds the limit", "exceeds the total limit", "exceeds its local ephemeral")
"""In the message of an eviction: it was the job's own doing."""

_DISRUPTIONS: Mapping[str, str] = {
    "PreemptionByScheduler": "it made room for a more important pod",
    "DeletionByTaintManager": "its node was lost, or closed to it",
    "EvictionByEvictionAPI": "its node was cleared",
    "DeletionByPodGC": "its node was removed",
    "TerminationByKubelet": "its node had no room left for it, or was shut down",
}
"""Why a pod was taken away, by the reason of its condition DisruptionTarget."""

_ENDINGS: Mapping[str, State] = {
    "cancel": State.CANCELLED,
    "duration": State.EXCEEDED,
    "hopeless": State.FAILED,
}
"""What each ``why`` of the server's own annotation means."""

_UNSURE = timedelta(seconds=10)  #: how long a node that is said to be silent is believed to be well
_LONGEST = 1000  # characters of a message


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the server told Kubernetes to end a Job, as its annotation keeps it."""

    why: str
    message: str = ""

    def dump(self) -> str:
        """Return the annotation."""
        return json.dumps({"why": self.why, "message": self.message})

    @classmethod
    def of(cls, job: Json) -> "Ending | None":
        """Read a Job's annotation."""
        text = annotation(job, ENDING)
        if not text:
            return None
        try:
            found = json.loads(text)
            return cls(str(found["why"]), str(found.get("message", "")))
        except (ValueError, TypeError, KeyError):
            return cls("cancel")  # somebody has edited it, and it is being ended


@dataclass(frozen=True, slots=True)
class Verdict:
    """A report, and what the server should do about the job."""

    report: Report
    trouble: Trouble = Trouble.NONE


def judge(
    job: Json,
    pods: Collection[Json],
    warning: Callable[[Json], str],
    now: datetime,
) -> Verdict:
    """Return what a Job and all pods of it say.

    ``warning`` tells what went wrong with an object of late, from events.
    """
    pod = max(pods, key=_age, default=None)
    ended = _ended(job, pod, pods)
    if ended is not None:
        return Verdict(replace(ended, facts=_facts(pod)))
    if pod is None:
        return _without_pod(job, warning)
    verdict = _with_pod(pod, warning, now)
    report = replace(verdict.report, started=started(pod), facts=_facts(pod))
    return replace(verdict, report=report)


def is_alive(pod: Json) -> bool:
    """Whether something of the pod may still run."""
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def is_over(job: Json) -> bool:
    """Whether Kubernetes is done with a Job."""
    return _condition(job, "Complete") is not None or _condition(job, "Failed") is not None


def annotation(thing: Json, name: str) -> str:
    """Return an annotation, or nothing."""
    return str((thing["metadata"].get("annotations") or {}).get(name, ""))


def duration_of(job: Json) -> int:
    """Return the seconds that a job may run; 0: no limit."""
    text = annotation(job, DURATION)
    return int(text) if text.isdecimal() else 0


def is_of(pod: Json, job: Json) -> bool:
    """Whether a pod is this very Job's: another one may have had its name."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == job["metadata"]["uid"] for owner in owners)


def started(pod: Json) -> datetime | None:
    """Return when the job's container started."""
    state = _container(pod).get("state", {})
    return moment((state.get("running") or state.get("terminated") or {}).get("startedAt"))


def moment(text: str | None) -> datetime | None:
    """Return a time that Kubernetes has written."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


# A job that is over


def _ended(job: Json, pod: Json | None, pods: Collection[Json]) -> Report | None:
    """Return how a job ended, or None if it has not, or nobody can say yet."""
    if any(is_alive(each) for each in pods):
        return None
    ending, failed = Ending.of(job), _condition(job, "Failed")
    if pod is not None and not _was_told_to_end(pod, failed):
        # Whoever was asked to end it and did not come to it has the last word.
        return None if ending and not is_over(job) else _ended_by_itself(pod)
    if _condition(job, "Complete"):
        return Report(
            state=State.DONE,
            exit_code=0,
            started=_job_started(job),
            ended=moment(job["status"].get("completionTime")),
        )
    if failed is not None:
        report = _ended_by(ending) if ending else _given_up(job, pod, failed)
        times = {"started": _job_started(job), "ended": moment(failed.get("lastTransitionTime"))}
        return replace(report, **times)  # type: ignore[arg-type]
    if ending and (pod is not None or job["spec"].get("suspend")):
        return replace(_ended_by(ending), started=_job_started(job))
    return None  # its pod is gone, and its Job does not say why yet


def _was_told_to_end(pod: Json, failed: Json | None) -> bool:
    """Whether the way in which the pod ended says nothing of the command."""
    if failed is not None and failed.get("reason") == "DeadlineExceeded":
        return True
    return "deletionTimestamp" in pod["metadata"] and not _disruption(pod)


def _ended_by(ending: Ending) -> Report:
    state = _ENDINGS.get(ending.why, State.FAILED)
    return Report(state=state, message=ending.message or "it was cancelled")


def _given_up(job: Json, pod: Json | None, failed: Json) -> Report:
    """Return what Kubernetes itself had against the Job."""
    if failed.get("reason") != "DeadlineExceeded":
        why = "its pod was deleted" if pod is None or "Backoff" in failed["reason"] else ""
        message = why or f"{failed.get('reason')}: {failed.get('message')}"
        return Report(state=State.FAILED, message=message, transient=True)
    if annotation(job, STARTED):
        return Report(state=State.EXCEEDED, message=too_long(annotation(job, DURATION)))
    return Report(state=State.FAILED, message="it waited for a node for longer than it may")


def too_long(duration: str) -> str:
    """Return what is said of a job that ran for longer than it may."""
    return f"it was stopped when it had run for {duration} s, as long as it may"


def _ended_by_itself(pod: Json) -> Report:
    status, container = pod["status"], _container(pod)
    end = container.get("state", {}).get("terminated") or {}
    times = {"started": moment(end.get("startedAt")), "ended": moment(end.get("finishedAt"))}
    return replace(_cause(pod, status, end), **times)  # type: ignore[arg-type]


def _cause(pod: Json, status: Json, end: Json) -> Report:
    if end.get("reason") == "OOMKilled":
        # Also if only a child was killed and the command went on: it may not have noticed.
        return Report(state=State.EXCEEDED, message=_too_large(pod))
    if status["phase"] == "Succeeded":
        return Report(state=State.DONE, exit_code=0)
    if status.get("reason"):
        return _whole(status)
    if disruption := _disruption(pod):
        message = _DISRUPTIONS.get(disruption, f"it was taken away: {disruption}")
        return Report(state=State.FAILED, message=message, transient=True)
    return _exited(end)


def _exited(end: Json) -> Report:
    code, said = end.get("exitCode"), _legible(end.get("message", ""))
    if code is None:
        return Report(state=State.FAILED, message=said or "nobody saw how it ended", transient=True)
    if end.get("reason") in ("StartError", "ContainerCannotRun"):
        return Report(state=State.FAILED, message=f"it cannot be started: {said}")
    message = f"{_exit(code)}: {said}" if said else _exit(code)
    return Report(state=State.FAILED, message=message, exit_code=code)


def _whole(status: Json) -> Report:
    """Return why a pod failed as a whole."""
    reason, said = status["reason"], _legible(status.get("message", ""))
    if any(words in said for words in _USED_TOO_MUCH):
        return Report(state=State.EXCEEDED, message=said)
    for name, (state, message) in _POD_REASONS.items():
        if reason.startswith(name):
            text = f"{message}: {said}" if said else message
            return Report(state=state, message=text, transient=state is State.FAILED)
    return Report(state=State.FAILED, message=f"{reason}: {said}", transient=True)


def _exit(code: int) -> str:
    try:
        name = signal.Signals(code - 128).name
    except ValueError:
        return f"exit status {code}"
    return f"exit status {code}, as of a program killed by {name}"


def _too_large(pod: Json) -> str:
    limits = pod["spec"]["containers"][0].get("resources", {}).get("limits") or {}
    size = f"{limits['memory']} bytes" if "memory" in limits else "there was"
    return f"it was stopped because it used more memory than {size}"


def _disruption(pod: Json) -> str:
    found = _condition(pod, "DisruptionTarget")
    return str(found.get("reason", "")) if found else ""


# A job that is not over


def _without_pod(job: Json, warning: Callable[[Json], str]) -> Verdict:
    if job["spec"].get("suspend"):
        return Verdict(_suspended(job))
    said = _legible(warning(job))
    if not said:
        return Verdict(Report(state=State.WAITING, message="it waits for its pod"))
    trouble = next(trouble for words, trouble in _NO_POD.items() if words in said)
    return Verdict(Report(state=State.WAITING, message=said), trouble)


def _suspended(job: Json) -> Report:
    queue = job["metadata"].get("labels", {}).get(QUEUE)
    if annotation(job, FETCHING):
        return Report(state=State.WAITING, message="its inputs are being fetched")
    if queue:
        return Report(state=State.WAITING, message=f"it waits in the queue {queue}")
    return Report(state=State.HELD, message="its Job is suspended")


def _with_pod(pod: Json, warning: Callable[[Json], str], now: datetime) -> Verdict:
    phase = pod["status"].get("phase", "Pending")
    if phase == "Pending":
        return _pending(pod, warning)
    if phase == "Running":
        return Verdict(_running(pod, now))
    if phase in ("Succeeded", "Failed"):
        # It was told to end, and nobody has said yet why.
        return Verdict(Report(state=State.RUNNING, message="it is being stopped"))
    return Verdict(Report(state=State.UNKNOWN, message=f"its pod's phase is {phase}"))


def _pending(pod: Json, warning: Callable[[Json], str]) -> Verdict:
    unscheduled = _condition(pod, "PodScheduled", "False")
    if unscheduled:
        said = _legible(unscheduled.get("message", "")) or "it waits for a node"
        return Verdict(Report(state=State.WAITING, message=said))
    for status in _containers(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        reason, said = waiting.get("reason", ""), _legible(waiting.get("message", ""))
        if reason not in _WAITING:
            return Verdict(Report(state=State.UNKNOWN, message=f"its container waits: {reason}"))
        trouble = _WAITING[reason]
        if trouble is not Trouble.NONE:
            message = f"{reason}: {said}" if said else reason
            return Verdict(Report(state=State.WAITING, message=message), trouble)
    said = _legible(warning(pod))
    trouble = Trouble.FOR_NOW if said else Trouble.NONE
    return Verdict(Report(state=State.WAITING, message=said or "it is being started"), trouble)


def _running(pod: Json, now: datetime) -> Report:
    not_ready = _condition(pod, "Ready", "False")
    if not_ready and "running" in _container(pod).get("state", {}):
        since = moment(not_ready.get("lastTransitionTime"))
        if since is not None and now - since > _UNSURE:
            node = pod["spec"].get("nodeName", "")
            return Report(state=State.UNKNOWN, message=f"its node {node} does not answer")
    return Report(state=State.RUNNING)


# Reading


def _condition(thing: Json, kind: str, status: str = "True") -> Json | None:
    for each in thing.get("status", {}).get("conditions") or ():
        if each.get("type") == kind and each.get("status") == status:
            return dict(each)
    return None


def _containers(pod: Json) -> list[Json]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _container(pod: Json) -> Mapping[str, Any]:
    for each in pod.get("status", {}).get("containerStatuses") or ():
        if each.get("name") == CONTAINER:
            return dict(each)
    return {}


def _facts(pod: Json | None) -> Mapping[str, str]:
    if pod is None:
        return {}
    named = {"pod": pod["metadata"]["name"], "node": pod["spec"].get("nodeName", "")}
    image = _container(pod).get("imageID", "") or _container(pod).get("image", "")
    return {name: value for name, value in {**named, "image": image}.items() if value}


def _job_started(job: Json) -> datetime | None:
    return moment(annotation(job, STARTED) or job.get("status", {}).get("startTime"))


def _age(pod: Json) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _legible(words: str) -> str:
    """Return one line for people."""
    plain = "".join(c if c.isprintable() else " " for c in words[: 2 * _LONGEST])
    return " ".join(plain.split())[:_LONGEST]
