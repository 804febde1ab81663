"""A Slurm cluster, by its own commands. `driver` is where to begin reading.

``options``    what an administrator can choose
``commands``   how a command is run: here or behind a prefix, as whom, and what its failure means
``cluster``    what Slurm is asked and told
``listing``    what squeue and sacct print
``states``     what Slurm's words mean, as tables
``script``     the batch script, and sbatch's arguments
``notes``      what is on file about a job
``accounts``   in whose account a job runs
``tracked``    what one job says now; ``verdict``: how it has ended
``follower``   all jobs together; ``lookout``: what makes it quick
``driver``     the backend
"""

from pathlib import Path

from uwsd.backends.slurm.driver import SlurmBackend
from uwsd.backends.slurm.options import Options


def create(name: str, options: Options, root: Path) -> SlurmBackend:
    """Make the backend that the configuration calls ``name``; job workspaces are in ``root``."""
    return SlurmBackend(root, name=name, options=options)


__all__ = ["Options", "create"]
