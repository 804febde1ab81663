"""What the doctor is tried on."""

from pathlib import Path
from types import SimpleNamespace

import pytest

ENGINES = ("local_engine", "docker_server", "slurm_engine", "kubernetes_engine")
"""Fixtures of engines: each has its table of the configuration as ``options``."""


@pytest.fixture(scope="session")
def local_engine() -> SimpleNamespace:
    """This machine."""
    return SimpleNamespace(options={"type": "local"})


@pytest.fixture(params=ENGINES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The configuration of a site with one engine, called ``engine``, and an empty data folder."""
    options = request.getfixturevalue(request.param).options
    config = tmp_path / "uwsd.toml"
    table = "\n".join(f"{name} = {value!r}" for name, value in options.items())
    config.write_text(
        f"""[data]
folder = '{tmp_path / "data"}'

[backends.engine]
{table}

[services.once]
command = ["true"]
backend = "engine"
"""
    )
    (tmp_path / "data").mkdir(mode=0o700)
    return config
