"""What the tests of fetching by reference start from: servers, a target, what is said."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.worker.oddserver import Server
from uwsd.worker.fetch import Refused, fetch

Serve = Callable[..., Server]

CONTENT = bytes(range(256)) * 400
UNREACHABLE = "FILE cannot be fetched: its server cannot be reached, or may not be asked"
LATE = "FILE cannot be fetched: it takes too long"
INCOMPLETE = "FILE cannot be fetched: its server did not send all of it"


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda *answers, **options: stack.enter_context(closing(Server(*answers, **options)))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    return folder / "FILE"


def get(url: str, target: Path, *, max_bytes: int = len(CONTENT), timeout: float = 10) -> bytes:
    """Fetch from this machine, as an admin may allow it."""
    fetch(url, target, max_bytes=max_bytes, timeout=timeout, private_addresses=True)
    return target.read_bytes()


def refusal(url: str, target: Path, *, private: bool = True, timeout: float = 10) -> str:
    """Say why it is not fetched, which leaves nothing behind."""
    with pytest.raises(Refused) as caught:
        fetch(url, target, max_bytes=len(CONTENT), timeout=timeout, private_addresses=private)
    assert list(target.parent.iterdir()) == []
    return str(caught.value)
