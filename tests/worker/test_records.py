"""The files that a worker leaves, in a folder that its job can write to."""

from pathlib import Path

import pytest

from uwsd.worker.records import Exit, Records


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_an_exit_record_is_not_written_through_a_link(tmp_path: Path, link: str) -> None:
    other = tmp_path / "other"
    other.write_text("somebody else's")
    records = Records(tmp_path)
    records.folder.mkdir()
    getattr(records.folder / "exit.json.room", link)(other)
    records.write_exit(Exit("exit", code=0))
    assert other.read_text() == "somebody else's"
    assert records.exit() == Exit("exit", code=0)
