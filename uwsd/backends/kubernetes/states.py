"""How a job is, by its Job and its pods: tables, and a pure function that reads them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from uwsd.backends.base import Report, State
from uwsd.backends.kubernetes.endings import NOT_STARTED, ended
from uwsd.backends.kubernetes.names import FETCHING, QUEUE, Json
from uwsd.backends.kubernetes.objects import (
    annotation,
    condition,
    container,
    containers,
    legible,
    moment,
    started,
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

_UNSURE = timedelta(seconds=10)  #: how long a node that is said to be silent is believed to be well


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
    pod = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)
    ending = ended(job, pod, pods)
    if ending is not None:
        return Verdict(replace(ending, facts=_facts(pod)))
    if pod is None:
        return _without_pod(job, warning)
    verdict = _with_pod(pod, warning, now)
    report = replace(verdict.report, started=started(pod), facts=_facts(pod))
    return replace(verdict, report=report)


def _without_pod(job: Json, warning: Callable[[Json], str]) -> Verdict:
    if job["spec"].get("suspend"):
        return Verdict(_suspended(job))
    said = legible(warning(job))
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
        end = container(pod).get("state", {}).get("terminated")
        return _staging_out(end) if end else Verdict(_running(pod, now))
    if phase in ("Succeeded", "Failed"):
        # It was told to end, and nobody has said yet why.
        return Verdict(Report(state=State.RUNNING, message="it is being stopped"))
    return Verdict(Report(state=State.UNKNOWN, message=f"its pod's phase is {phase}"))


def _staging_out(end: Json) -> Verdict:
    """Return how a job is whose own container has ended before its pod."""
    if end.get("reason") in NOT_STARTED:  # nobody else in the pod knows
        said = f"it cannot be started: {legible(end.get('message', ''))}"
        return Verdict(Report(state=State.WAITING, message=said), Trouble.FOR_GOOD)
    return Verdict(Report(state=State.RUNNING, message="its results are being brought back"))


def _pending(pod: Json, warning: Callable[[Json], str]) -> Verdict:
    unscheduled = condition(pod, "PodScheduled", "False")
    if unscheduled:
        said = legible(unscheduled.get("message", "")) or "it waits for a node"
        return Verdict(Report(state=State.WAITING, message=said))
    for status in containers(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        reason, said = waiting.get("reason", ""), legible(waiting.get("message", ""))
        if reason not in _WAITING:
            return Verdict(Report(state=State.UNKNOWN, message=f"its container waits: {reason}"))
        trouble = _WAITING[reason]
        if trouble is not Trouble.NONE:
            message = f"{reason}: {said}" if said else reason
            return Verdict(Report(state=State.WAITING, message=message), trouble)
    said = legible(warning(pod))
    trouble = Trouble.FOR_NOW if said else Trouble.NONE
    return Verdict(Report(state=State.WAITING, message=said or "it is being started"), trouble)


def _running(pod: Json, now: datetime) -> Report:
    not_ready = condition(pod, "Ready", "False")
    if not_ready and "running" in container(pod).get("state", {}):
        since = moment(not_ready.get("lastTransitionTime"))
        if since is not None and now - since > _UNSURE:
            node = pod["spec"].get("nodeName", "")
            return Report(state=State.UNKNOWN, message=f"its node {node} does not answer")
    return Report(state=State.RUNNING)


def _facts(pod: Json | None) -> Mapping[str, str]:
    if pod is None:
        return {}
    named = {"pod": pod["metadata"]["name"], "node": pod["spec"].get("nodeName", "")}
    image = container(pod).get("imageID", "") or container(pod).get("image", "")
    return {name: value for name, value in {**named, "image": image}.items() if value}
