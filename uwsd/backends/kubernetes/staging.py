"""Workspaces without a shared volume: one container fills them, another brings the results back.

Both run `stager`, which is given to the pod in a Secret together with the job's ticket. The Secret
belongs to the Job, and is gone with it.
"""

from pathlib import Path

from uwsd.backends.kubernetes.names import CONFINED, WORKSPACE, Json
from uwsd.backends.kubernetes.options import Options

STAGE_IN, STAGE_OUT = "stage-in", "stage-out"
_PROGRAM = Path(__file__).with_name("stager.py")
_PLACE = "/uwsd-stage"
_ANNOUNCE = 'echo $$ >"$1/run/pid"; shift; exec "$@"'
_ROOM = {
    "requests": {"cpu": "10m", "memory": "64Mi"},
    "limits": {"memory": "256Mi"},
}


def announced(command: list[str], workspace: Path) -> list[str]:
    """Return a command that first says which process it is: its end is what is waited for."""
    return ["/bin/sh", "-c", _ANNOUNCE, "uwsd", str(workspace), *command]


def staged(own: Json, volumes: list[Json], options: Options, workspace: Path, name: str) -> Json:
    """Return the containers and the volumes of a pod that shares nothing with the server."""
    return {
        "volumes": [
            {"name": WORKSPACE, "emptyDir": {"sizeLimit": f"{int(options.scratch)}"}},
            {"name": "stage", "secret": {"secretName": name}},
            *volumes,
        ],
        "initContainers": [_stager(STAGE_IN, "in", options, workspace)],
        "containers": [own, _stager(STAGE_OUT, "out", options, workspace)],
    }


def secret(job: Json, ticket: str) -> Json:
    """Return the Secret of a Job."""
    metadata = job["metadata"]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "metadata": {
            "name": metadata["name"],
            "labels": metadata["labels"],
            "ownerReferences": [owner],
        },
        "stringData": {"ticket": ticket, _PROGRAM.name: _PROGRAM.read_text(encoding="utf-8")},
    }


def _stager(name: str, step: str, options: Options, workspace: Path) -> Json:
    policy = {"imagePullPolicy": options.image_pull_policy} if options.image_pull_policy else {}
    url = f"{options.server_url.rstrip('/')}/jobs/{workspace.name}/stage"
    return {
        "name": name,
        "image": options.staging_image,
        **policy,
        "command": ["python3", f"{_PLACE}/{_PROGRAM.name}", step],
        "env": [
            {"name": "UWSD_STAGE_URL", "value": url},
            {"name": "UWSD_STAGE_FOLDER", "value": str(workspace)},
        ],
        "resources": _ROOM,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {**CONFINED, "readOnlyRootFilesystem": True},
        "volumeMounts": [
            {"name": WORKSPACE, "mountPath": str(workspace)},
            {"name": "stage", "mountPath": _PLACE, "readOnly": True},
        ],
    }
