"""Backends on real Slurm clusters, and what is needed to look at their jobs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.slurm.site import Site
from tests.engines.daemons import wait_until
from tests.engines.slurm import Slurm


@pytest.fixture
def site(slurm_engine: Slurm) -> Iterator[Site]:
    """Jobs on a cluster with accounting."""
    yield from _site(slurm_engine)


@pytest.fixture
def private(site: Site) -> Site:
    """Jobs on such a cluster that is ours, to break what we like."""
    if site.engine.daemons is None:
        pytest.skip("the cluster is somebody else's: nothing of it is stopped or set")
    return site


@pytest.fixture
def bookless(slurm_without_accounting: Slurm) -> Iterator[Site]:
    """Jobs on a private cluster without accounting."""
    if slurm_without_accounting.daemons is None:
        pytest.skip("the cluster is somebody else's: nothing of it is stopped or set")
    yield from _site(slurm_without_accounting)


def _site(engine: Slurm) -> Iterator[Site]:
    # Not below pytest's own folder: other accounts have to reach the jobs' folders.
    folder = Path(tempfile.mkdtemp(prefix="uwsd-test-", dir=engine.shared))
    folder.chmod(0o755)
    site = Site(engine, folder / "jobs")
    yield site
    site.clear()
    wait_until(lambda: _is_removed(folder), 30, "a worker still writes there")


def _is_removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
