"""Jobs as containers of a Docker engine, or of Podman by the same API.

The order of a job is on file (`orders`) before anything is on the engine. From then on a look at
the engine's list (`rounds`), at any time and by any process, finds what is to be done: wait
(`line`), make and start a container once (`crew`), end it, write down how it ended (`endings`).
"""

from pathlib import Path

from uwsd.backends.docker.backend import DockerBackend
from uwsd.backends.docker.options import Options

__all__ = ["DockerBackend", "Options", "create"]


def create(name: str, options: Options, root: Path) -> DockerBackend:
    """Make the backend that the configuration calls ``name``; job workspaces are in ``root``."""
    return DockerBackend(name, options, root)
