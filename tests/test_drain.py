"""The file that drains a site, whoever has written it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from uwsd.drain import Drain, DrainFile
from uwsd.uws.errors import Unavailable

AT = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"null", b"[]", b"{}", b'{"since": 1, "until": 2, "note": 3}']
)
def test_a_file_that_nobody_understands_drains(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "drain.json").write_bytes(content)
    file = DrainFile(tmp_path)
    assert file.read() is not None
    with pytest.raises(Unavailable) as caught:
        file.admit()
    assert caught.value.retry_after == 300
    assert file.remove()
    file.admit()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    drain = Drain(since=AT, until=AT.replace(year=2000), note="a\n<b>")
    DrainFile(tmp_path).write(drain)
    assert DrainFile(tmp_path).read() == drain
    with pytest.raises(Unavailable, match="a\n<b>") as caught:
        DrainFile(tmp_path).admit()
    assert caught.value.retry_after == 1  # the time is past, and nobody has undrained
