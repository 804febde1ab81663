"""Reading Kubernetes' objects, which are plain JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from uwsd.backends.kubernetes.names import CONTAINER, DURATION, Json

_SUCCEEDED = ("Complete", "SuccessCriteriaMet")
_FAILED = ("Failed", "FailureTarget")
"""Conditions of a Job; the second of each pair comes first, when pods may still run."""

_LONGEST = 1000  # characters of a message


def is_alive(pod: Json) -> bool:
    """Whether something of the pod may still run."""
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def is_over(job: Json) -> bool:
    """Whether Kubernetes makes no more pods for a Job; one may still be on its way out."""
    return any(condition(job, word) for word in (*_SUCCEEDED, *_FAILED))


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
    state = container(pod).get("state", {})
    return moment((state.get("running") or state.get("terminated") or {}).get("startedAt"))


def moment(text: str | None) -> datetime | None:
    """Return a time that Kubernetes has written."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def condition(thing: Json, kind: str, status: str = "True") -> Json | None:
    """Return a condition that has this status."""
    for each in thing.get("status", {}).get("conditions") or ():
        if each.get("type") == kind and each.get("status") == status:
            return dict(each)
    return None


def containers(pod: Json) -> list[Json]:
    """Return the status of every container, those that come first at first."""
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def container(pod: Json) -> Mapping[str, Any]:
    """Return the status of the job's own container."""
    for each in pod.get("status", {}).get("containerStatuses") or ():
        if each.get("name") == CONTAINER:
            return dict(each)
    return {}


def legible(words: str) -> str:
    """Return one line for people."""
    plain = "".join(c if c.isprintable() else " " for c in words[: 2 * _LONGEST])
    return " ".join(plain.split())[:_LONGEST]


def failure(job: Json) -> Json | None:
    """Return the condition that tells why a Job has failed."""
    return next(filter(None, (condition(job, word) for word in _FAILED)), None)


def was_disrupted(pod: Json) -> str:
    """Return why the cluster took a pod away, or nothing."""
    found = condition(pod, "DisruptionTarget")
    return str(found.get("reason", "")) if found else ""


def staging_failure(pod: Json, name: str) -> str:
    """Return what a container said that should have brought something, and has failed."""
    for each in containers(pod):
        end = each.get("state", {}).get("terminated")
        if each.get("name") == name and end and end.get("exitCode"):
            return legible(end.get("message", "")) or f"exit status {end['exitCode']}"
    return ""
