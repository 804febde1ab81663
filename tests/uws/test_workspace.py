"""The files of a job, and who may take them away from whom."""

import io
from pathlib import Path

from uwsd.uws.workspace import Workspaces


def test_an_input_that_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    path = workspaces.keep("job", "FILE", io.BytesIO(b"a"))
    workspaces.discard("job", path)
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_was_started_meanwhile_keeps_its_folders(tmp_path: Path) -> None:
    workspaces = Workspaces(tmp_path)
    path = workspaces.keep("job", "FILE", io.BytesIO(b"a"))
    workspaces.prepare("job")
    workspaces.discard("job", path)
    assert (tmp_path / "job" / "outputs").is_dir()
