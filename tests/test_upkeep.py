"""The supervisor's sign of life is given whatever else goes wrong."""

from pathlib import Path
from unittest.mock import Mock

from uwsd.backends.base import Backend, BackendError
from uwsd.heartbeat import HeartbeatFile
from uwsd.registry.publisher import Publisher
from uwsd.upkeep import Upkeep


def test_a_backend_that_cannot_be_asked_and_records_that_cannot_be_made(tmp_path: Path) -> None:
    backend = Mock(spec=Backend)
    backend.check.side_effect = BackendError("no answer")
    publisher = Mock(spec=Publisher)
    publisher.refresh.side_effect = OSError
    file = HeartbeatFile(tmp_path)
    Upkeep(backends={"far": backend}, heartbeat=file, publisher=publisher)()
    said = file.read()
    assert said is not None
    assert said.backends == {"far": "no answer"}
