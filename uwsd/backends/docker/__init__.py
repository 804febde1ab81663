"""Jobs as containers of a Docker engine, or of Podman by the same API.

The order of a job is on file before anything is on the engine. From then on a look at the
engine's list, at any time and by any process, finds what is to be done.

============  ====================================================================
`options`     what an administrator can choose
`backend`     the backend itself
`orders`      what is on file of each job
`rounds`      one look at all jobs: what each is, as a table, and what is to be done
`line`        the jobs that wait, and whose turn it is
`crew`        what takes a while: start a container once, end it, remove it
`images`      how images come to the engine
`settings`    the container that a task becomes, and all that is kept from it
`endings`     how a job ended: a pure function
`engine`      the few questions that are asked, and what an answer that is none means
`bell`        what wakes the supervisor
============  ====================================================================
"""

from importlib.util import find_spec
from pathlib import Path

from uwsd.backends.base import Backend
from uwsd.backends.docker.options import Options

__all__ = ["Options", "create"]

if find_spec("docker") is None:
    raise ModuleNotFoundError("the extra is not installed", name="docker")


def create(name: str, options: Options, root: Path) -> Backend:
    """Make the backend that the configuration calls ``name``; job workspaces are in ``root``."""
    # The library takes a while to load: only the supervisor needs it.
    from uwsd.backends.docker.backend import DockerBackend  # noqa: PLC0415

    return DockerBackend(name, options, root)
