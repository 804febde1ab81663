"""The notebook of the agnpy example as a service, on this machine."""

from pathlib import Path

from tests.conftest import Serve
from tests.examples.running import EXAMPLE, needs_environment, run_notebook

pytestmark = needs_environment


def test_the_notebook_computes_what_the_program_does(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path / "data", EXAMPLE / "uwsd.toml") as server:
        run_notebook(server)
    assert not list(EXAMPLE.glob("__pycache__"))
