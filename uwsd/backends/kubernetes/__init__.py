"""Jobs as Jobs of a Kubernetes cluster, each with one pod.

All that is known of a job is its Job object, named by `uwsd.backends.names.key`, and its pod. The
object's annotations (`manifest`) hold what the server decided about it, so that any other server
decides the same. The workspace is on a volume that the server and the pods share.

===============  ======================================================================
`options`        what an administrator can choose
`manifest`       the Job that a task becomes, and its names for things
`api`            the few questions that are asked, and what an answer that is none means
`states`         what Jobs and pods say, as tables: a pure function makes a report of it
`mirror`         all our Jobs and pods, kept up to date by watches
`cluster`        the same, and what is asked and changed one by one
`fetching`       inputs by URL, before a job starts
`chores`         what the cluster does not do by itself
`warnings`       what only events tell
`rights`         whether the backend can work at all
`driver`         the backend itself
===============  ======================================================================
"""

from pathlib import Path

from uwsd.backends.base import Backend
from uwsd.backends.kubernetes.options import Options

__all__ = ["Options", "create"]


def create(name: str, options: Options, root: Path) -> Backend:
    """Make the backend that the configuration describes; job workspaces are in ``root``."""
    # The library takes a while to load: only the supervisor needs it.
    from uwsd.backends.kubernetes.driver import KubernetesBackend  # noqa: PLC0415

    return KubernetesBackend(root, options, name)
