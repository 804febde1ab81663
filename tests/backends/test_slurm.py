"""The Slurm backend keeps the contract, on real clusters of two releases.

``UWSD_SLURM_NEXT`` names a folder for a Debian 13 with Slurm 24.11, which takes a minute to make. What
only Slurm can do, and what can happen to jobs on it, is in ``slurm/``.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends.contract import BackendContract, NewBackend
from tests.engines.slurm import Slurm
from uwsd.backends.base import Handle
from uwsd.backends.slurm import Options, create
from uwsd.backends.slurm.driver import SlurmBackend

MakeBackend = Callable[..., SlurmBackend]

QUICK = {"poll": 0.2, "grace": 0.4, "lost": 1, "hopeless": 1}


class OnSlurm(BackendContract):
    """The contract, on one cluster."""

    patience = 60.0
    many = int(os.environ.get("UWSD_MANY", "40"))
    cuts = 6
    submitting = 0.3

    @pytest.fixture
    def engine(self) -> Slurm:
        raise NotImplementedError

    @pytest.fixture
    def workspaces(self, engine: Slurm, tmp_path: Path) -> Iterator[Path]:
        if engine.shared is None:
            yield tmp_path / "jobs"
            return
        folder = tempfile.mkdtemp(prefix="uwsd-test-", dir=engine.shared)
        yield Path(folder) / "jobs"
        shutil.rmtree(folder)

    @pytest.fixture
    def make(self, engine: Slurm, workspaces: Path) -> Iterator[MakeBackend]:
        """Make a backend; what is left of its jobs goes with the test."""

        def make(**more: object) -> SlurmBackend:
            options = {**engine.options, **QUICK, **more}
            del options["type"]
            return create("cluster", Options(**options), workspaces)  # type: ignore[arg-type]

        yield make
        backend = make()
        for workspace in workspaces.glob("[!.]*"):
            backend.release(Handle(workspace.name))

    @pytest.fixture
    def new_backend(self, make: MakeBackend) -> NewBackend:
        return make


class TestSlurm(OnSlurm):
    """On Debian's own Slurm, or the one that ``SLURM_CONF`` names."""

    @pytest.fixture
    def engine(self, slurm_engine: Slurm) -> Slurm:
        return slurm_engine


class TestNextSlurm(OnSlurm):
    """On the Slurm of the next Debian, behind a prefix."""

    @pytest.fixture
    def engine(self, next_slurm_engine: Slurm) -> Slurm:
        return next_slurm_engine
