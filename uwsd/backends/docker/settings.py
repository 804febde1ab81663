"""The settings of a job's container: what the engine is asked for, and all that is kept from it."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from uwsd.backends.base import Task
from uwsd.backends.container import entrypoint
from uwsd.backends.docker.options import Options

_ONCE = """
umask 077
if ! (set -C; : >"$1/run/started") 2>/dev/null; then
    if [ -e "$1/run/started" ]; then
        echo "it was started a second time, and nobody saw how the first ended" >&2
        exit 75
    fi
    echo "its workspace is not there, or not its own: see the option user of the backend" >&2
    exit 74
fi
shift
exec "$@"
"""
"""The last fence against a second run: of two starts of one container, one leaves.

``set -C`` lets the shell make the file only if it is not there, in one step.
"""

STARTED = "run/started"
"""That file, in the workspace."""
TWICE = 75  #: exit status of a second start


def settings(
    task: Task, workspace: Path, options: Options, labels: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return what a container is."""
    place = str(workspace)
    return {
        "image": options.image_of(task),
        "entrypoint": [
            "/bin/sh",
            "-c",
            _ONCE,
            "uwsd",
            str(workspace),
            *entrypoint(task, workspace),
        ],
        "environment": dict(task.environment),
        "user": options.user,
        "working_dir": place,
        "labels": dict(labels),
        "stop_signal": "SIGTERM",
        "stop_timeout": ceil(options.grace),  # when the engine is stopped, or somebody does it
    }


def host_settings(
    task: Task, workspace: Path, options: Options, gpus: Sequence[str]
) -> Mapping[str, Any]:
    """Return what a container gets of its host."""
    place = str(workspace)
    memory = task.memory or int(options.memory) or None
    return {
        "mounts": [Mount(place, place, type="bind")],
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,noexec,mode=1777,size={int(options.tmp)}"},  # noqa: S108
        "shm_size": int(options.shm),
        "read_only": options.read_only,
        "network_mode": options.network if task.network else "none",
        "mem_limit": memory,
        "memswap_limit": memory,  # no swap beside it
        "nano_cpus": int((task.cpus or options.cpus) * 1e9) or None,
        "pids_limit": options.pids,
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "userns_mode": options.userns or None,
        "runtime": options.runtime or None,
        "device_requests": _devices(gpus) or None,
        "init": True,  # reaps what is left of a job's processes, and passes signals on
        "restart_policy": {"Name": "no"},
        # The job's streams are files in its workspace: here is only what went wrong before.
        "log_config": LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
    }


def _devices(gpus: Sequence[str]) -> list[DeviceRequest]:
    if not gpus:
        return []
    if all("=" in gpu for gpu in gpus):  # names of the Container Device Interface
        return [DeviceRequest(driver="cdi", device_ids=list(gpus))]
    return [DeviceRequest(device_ids=list(gpus), capabilities=[["gpu"]])]
