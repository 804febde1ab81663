"""How a command starts in a container: in its folder, its streams in the workspace's logs."""

from pathlib import Path

from uwsd.backends.base import Task

_SCRIPT = """
umask 077
cd "$1/outputs" || exit 74
out=$1/logs/stdout err=$1/logs/stderr
shift
if ! command -v "$1" >/dev/null; then
    echo "cannot start '$1': there is no such program in the image" >&2
    exit 127
fi
exec "$@" </dev/null >>"$out" 2>>"$err"
"""
"""For the image's own /bin/sh. What it says itself goes to the container's log."""


def entrypoint(task: Task, workspace: Path) -> list[str]:
    """Return what the container is to start; it sees the workspace at ``workspace``.

    The shell gets the command as arguments: nothing in it is a script.
    """
    return ["/bin/sh", "-c", _SCRIPT, "uwsd", str(workspace), *task.command]
