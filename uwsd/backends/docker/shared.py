"""What all parts of one backend work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uwsd.backends.docker.bell import Bell
from uwsd.backends.docker.engine import Engine
from uwsd.backends.docker.options import Options
from uwsd.backends.docker.orders import Orders
from uwsd.backends.inputs import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One engine, the jobs on it, and where they are."""

    options: Options
    root: Path  #: absolute; the workspaces of the jobs are in there
    labels: Mapping[str, str]  #: of every container that is this backend's, and of no other
    engine: Engine
    orders: Orders
    inputs: Inputs
    bell: Bell
