"""The Job that a task becomes.

Its pod passes the *restricted* level of the Pod Security Standards: no root, no capabilities, no
new privileges, the runtime's own seccomp profile, no account of the cluster.
"""

import json
from pathlib import Path
from typing import Any

from uwsd.backends.base import Task, TaskRefused
from uwsd.backends.container import entrypoint
from uwsd.backends.kubernetes.names import (
    CONFINED,
    CONTAINER,
    DURATION,
    FETCHING,
    INSTANCE,
    JOB_ID,
    MANAGED_BY,
    NETWORK,
    QUEUE,
    SERVICE,
    WORKSPACE,
    Json,
)
from uwsd.backends.kubernetes.options import Options
from uwsd.backends.kubernetes.staging import announced, staged

_LONGEST = 2**31 - 1  #: seconds, in Kubernetes' own numbers
_LARGEST = 1_000_000  #: bytes of an object: etcd takes 1.5 MiB


def selector(instance: str) -> str:
    """Return the label selector of everything that belongs to a server."""
    return f"{MANAGED_BY}=uwsd,{INSTANCE}={instance}"


def labels(options: Options, instance: str, service: str) -> dict[str, str]:
    """Return the labels of a Job and its pod."""
    named = {SERVICE: service} if service else {}
    return {**options.labels, MANAGED_BY: "uwsd", INSTANCE: instance, **named}


def manifest(task: Task, name: str, instance: str, options: Options, workspace: Path) -> Json:
    """Return the Job of a task, suspended if inputs are to be fetched; raise `TaskRefused`."""
    own = labels(options, instance, task.service)
    annotations = {**options.annotations, JOB_ID: task.job_id, DURATION: f"{task.duration}"}
    if task.fetch:
        annotations[FETCHING] = "begun"
    elif not options.claim:
        annotations[FETCHING] = "done"
    reach = {} if task.network else {NETWORK: "none" if options.claim else "server"}
    spec = {
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        # Never a second pod beside one that is only on its way out.
        "podReplacementPolicy": "Failed",
        "suspend": FETCHING in annotations or bool(options.queue),
        "ttlSecondsAfterFinished": options.keep,
        "activeDeadlineSeconds": ceiling(options, task.duration),
        "template": {
            "metadata": {
                "labels": own | reach,
                "annotations": {**options.annotations, JOB_ID: task.job_id},
            },
            "spec": _pod(task, options, workspace, name),
        },
    }
    # Whoever has a Job's queue decides when it starts: it gets there with its inputs.
    queued = {QUEUE: options.queue} if options.queue and FETCHING not in annotations else {}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": own | queued, "annotations": annotations},
        "spec": spec,
    }
    _check_size(body)
    return body


def ceiling(options: Options, duration: int) -> int:
    """Return the seconds after which Kubernetes gives a Job up, if nobody tells it better."""
    return min(_LONGEST, options.max_wait + (duration or _LONGEST))


def _pod(task: Task, options: Options, workspace: Path, name: str) -> Json:
    image = task.image or options.image
    if not image:
        raise TaskRefused("it names no container image, and neither does the backend")
    wanted: dict[str, Any] = {
        "priorityClassName": options.priority_class,
        "runtimeClassName": options.runtime_class,
        "nodeSelector": dict(options.node_selector),
        "tolerations": [dict(each) for each in options.tolerations],
        "imagePullSecrets": [{"name": each} for each in options.image_pull_secrets],
    }
    if task.duration:
        wanted["activeDeadlineSeconds"] = min(_LONGEST, task.duration + options.leeway)
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The command is not process 1, which no signal of its own would kill.
        "shareProcessNamespace": True,
        "terminationGracePeriodSeconds": options.grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": options.run_as_user,
            "runAsGroup": options.run_as_group,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **_parts(task, options, workspace, image, name),
        **{name: value for name, value in wanted.items() if value},
    }


def _parts(task: Task, options: Options, workspace: Path, image: str, name: str) -> Json:
    """Return the containers of the pod, and the volumes."""
    own = _container(task, options, workspace, image)
    tmp = {"name": "tmp", "emptyDir": {}}
    if not options.claim:
        return staged(own, [tmp], options, workspace, name)
    claim = {"claimName": options.claim}
    return {
        "volumes": [{"name": WORKSPACE, "persistentVolumeClaim": claim}, tmp],
        "containers": [own],
    }


def _container(task: Task, options: Options, workspace: Path, image: str) -> Json:
    policy = {"imagePullPolicy": options.image_pull_policy} if options.image_pull_policy else {}
    return {
        "name": CONTAINER,
        "image": image,
        **policy,
        "command": [_verbatim(word) for word in _command(task, options, workspace)],
        "env": [{"name": n, "value": _verbatim(v)} for n, v in task.environment.items()],
        "workingDir": "/",
        "resources": _resources(task, options),
        # What the entrypoint complains of; the command writes into the workspace.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {**CONFINED, "readOnlyRootFilesystem": options.read_only_root},
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
            {
                "name": WORKSPACE,
                "mountPath": str(workspace),
                **({"subPath": sub_path(options, workspace)} if options.claim else {}),
            },
        ],
    }


def _command(task: Task, options: Options, workspace: Path) -> list[str]:
    command = entrypoint(task, workspace)
    return command if options.claim else announced(command, workspace)


def sub_path(options: Options, workspace: Path) -> str:
    """Return where the workspace is within the claim's volume; raise ValueError if it is not."""
    return str(workspace.relative_to(options.claim_mount))


def _resources(task: Task, options: Options) -> Json:
    limits: dict[str, str] = {}
    if task.memory:
        limits["memory"] = f"{task.memory}"
    if task.gpus:
        limits[options.gpu_resource] = f"{task.gpus}"
    cpus = {"cpu": f"{max(1, round(1000 * task.cpus))}m"} if task.cpus else {}
    return {"limits": limits, "requests": limits | cpus}


def _verbatim(text: str) -> str:
    """Return what Kubernetes makes ``text`` of: it expands ``$(NAME)``, and ``$$`` is a ``$``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TaskRefused(f"{text[:80]!r} is not UTF-8, as all of a Job must be") from None
    return text.replace("$", "$$")


def _check_size(body: Json) -> None:
    size = len(json.dumps(body))
    if size > _LARGEST:
        raise TaskRefused(
            f"its command and environment take {size} bytes of {_LARGEST} there may be"
        )
