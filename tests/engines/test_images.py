"""The image that engines get: the services of the agnpy example run in it, as anybody."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.engines.images import layers
from tests.examples.running import EXAMPLE, VALUES, needs_environment
from uwsd.backends.workspace import hand_over, lay_out
from uwsd.config import load
from uwsd.site import capabilities
from uwsd.uws.job import Job, Parameter

pytestmark = [needs_environment, pytest.mark.timeout(600)]

NOBODY = 65534


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with TemporaryDirectory() as folder:  # large: not one for pytest to keep
        for layer in layers():
            subprocess.run(("tar", "-xf", layer, "-C", folder), check=True)
        root = Path(folder)
        root.chmod(0o755)
        os.mknod(root / "dev/null", 0o020666, os.makedev(1, 3))
        (root / "dev/null").chmod(0o666)
        yield root


@pytest.mark.parametrize(
    ("service", "made"),
    [("sed", ["sed.png", "sed.vot"]), ("sed-notebook", ["sed.ecsv", "sed.html", "sed.ipynb"])],
)
def test_the_example_runs_in_the_image(root: Path, service: str, made: list[str]) -> None:
    workspace = Path("/jobs") / service
    values = tuple(Parameter(name=name, value=value) for name, value in VALUES.items())
    at = datetime(2026, 11, 25, tzinfo=UTC)
    job = Job(id=service, service=service, created=at, parameters=values)
    task = capabilities(load(EXAMPLE / "uwsd.toml", {}))[service].task(job, workspace)
    inside = root / workspace.relative_to("/")
    inside.parent.mkdir(exist_ok=True)
    lay_out(task, inside)
    hand_over(inside, NOBODY, NOBODY)
    done = subprocess.run(
        (
            *("unshare", "--fork", "--pid", "--mount", f"--mount-proc={root / 'proc'}"),
            *("/usr/sbin/chroot", f"--userspec={NOBODY}:{NOBODY}", root),
            *("sh", "-c", 'cd "$0"/outputs && exec "$@"', str(workspace), *task.command),
        ),
        env=dict(task.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (inside / "outputs").iterdir()) == made, done.stderr
