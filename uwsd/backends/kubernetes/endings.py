"""How a job ended, by its Job and its pods.

The pod's word comes first, because it knows how the command ended; the Job's condition is for what
no pod tells. A pod that was told to end says nothing of why: that is in the Job's condition, or in
the annotation that the server left (`Ending`).
"""

import json
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from kubernetes.utils.quantity import parse_quantity

from uwsd.backends.base import Report, State
from uwsd.backends.kubernetes.names import DURATION, ENDING, STARTED, Json
from uwsd.backends.kubernetes.objects import (
    annotation,
    container,
    failure,
    is_alive,
    is_over,
    legible,
    moment,
    staging_failure,
    was_disrupted,
)
from uwsd.backends.kubernetes.staging import STAGE_IN, STAGE_OUT

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

NOT_STARTED = ("StartError", "ContainerCannotRun")
"""Reasons of a container that has ended before it began."""

_UNSEEN = ("ContainerStatusUnknown", "Unknown")
"""Reasons of one whose end nobody saw: the kubelet's word, and containerd's, with status 255."""

_NO_PROGRAM = ("exec:", "executable file", "no such file or directory")

_ENDINGS: Mapping[str, State] = {
    "cancel": State.CANCELLED,
    "duration": State.EXCEEDED,
    "hopeless": State.FAILED,
}
"""What each ``why`` of the server's own annotation means."""


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


def ended(job: Json, pod: Json | None, pods: Collection[Json]) -> Report | None:
    """Return how a job ended, or None if it has not, or nobody can say yet."""
    if any(is_alive(each) for each in pods):
        return None
    ending = Ending.of(job)
    failed = failure(job)
    if pod is not None and not _was_told_to_end(pod, failed):
        # Whoever was asked to end it and did not come to it has the last word.
        return None if ending and not is_over(job) else _ended_by_itself(pod)
    since = moment(annotation(job, STARTED))
    if failed is not None:
        report = _ended_by(ending) if ending else _given_up(job, pod, failed)
        return replace(report, started=since, ended=moment(failed.get("lastTransitionTime")))
    if is_over(job):
        since = since or moment(job["status"].get("startTime"))
        end = moment(job["status"].get("completionTime"))
        return Report(state=State.DONE, exit_code=0, started=since, ended=end)
    if ending and (pod is not None or job["spec"].get("suspend")):
        return replace(_ended_by(ending), started=since)
    return None  # its pod is gone, and its Job does not say why yet


def _was_told_to_end(pod: Json, failed: Json | None) -> bool:
    """Whether the way in which the pod ended says nothing of the command."""
    if failed is not None and failed.get("reason") == "DeadlineExceeded":
        return True
    return "deletionTimestamp" in pod["metadata"] and not was_disrupted(pod)


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
    end = container(pod).get("state", {}).get("terminated") or {}
    report = _cause(pod, pod["status"], end)
    return replace(
        report, started=moment(end.get("startedAt")), ended=moment(end.get("finishedAt"))
    )


def _cause(pod: Json, status: Json, end: Json) -> Report:
    if end.get("reason") == "OOMKilled":
        # Also if only a child was killed and the command went on: it may not have noticed.
        return Report(state=State.EXCEEDED, message=_too_large(pod))
    if status["phase"] == "Succeeded":
        return Report(state=State.DONE, exit_code=0)
    if status.get("reason"):
        return _whole(status)
    if disruption := was_disrupted(pod):
        message = _DISRUPTIONS.get(disruption, f"it was taken away: {disruption}")
        return Report(state=State.FAILED, message=message, transient=True)
    return _not_staged(pod, end) or _exited(end)


def _not_staged(pod: Json, end: Json) -> Report | None:
    """Return what is to be said if the containers at the job's side have failed, and it has not."""
    if not end and (said := staging_failure(pod, STAGE_IN)):
        message = f"its inputs could not be brought to it: {said}"
    elif end.get("exitCode") == 0:
        message = f"its results could not be brought back: {staging_failure(pod, STAGE_OUT)}"
    else:
        return None
    return Report(state=State.FAILED, message=message, transient=True)


def _exited(end: Json) -> Report:
    code, said = end.get("exitCode"), legible(end.get("message", ""))
    if code is None:
        return Report(state=State.FAILED, message=said or "nobody saw how it ended", transient=True)
    if end.get("reason") in NOT_STARTED:
        # Either there is no such program, or the node's runtime has died meanwhile.
        passing = not any(words in said for words in _NO_PROGRAM)
        message = f"it cannot be started: {said}"
        return Report(state=State.FAILED, message=message, transient=passing)
    if end.get("reason") in _UNSEEN:
        return Report(state=State.FAILED, message="nobody saw how it ended", transient=True)
    message = f"{_exit(code)}: {said}" if said else _exit(code)
    return Report(state=State.FAILED, message=message, exit_code=code)


def _whole(status: Json) -> Report:
    """Return why a pod failed as a whole."""
    reason, said = status["reason"], legible(status.get("message", ""))
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
    size = f"{parse_quantity(limits['memory'])} bytes" if "memory" in limits else "there was"
    return f"it was stopped because it used more memory than {size}"
