"""The example of a site beside Slurm, as it stands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.engines.slurm import Slurm
from tests.serving import Server, finished

CONFIG = Path(__file__).parents[2] / "examples/sites/slurm/uwsd.toml"
TABLE = b"1 0.5\n2 0.25\n3 0.25\n"


@pytest.fixture
def site(slurm_engine: Slurm, tmp_path: Path) -> Iterator[Server]:
    environment = {
        "UWSD_SERVER__BASE_URL": "",  # a name that only the example has
        "UWSD_SERVER__TRUSTED_PROXIES": "[]",
        "UWSD_BACKENDS__CLUSTER__CONF": str(slurm_engine.options["conf"]),
    }
    server = Server(tmp_path / "data", CONFIG, **environment).start()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_the_example_works_as_it_stands(site: Server) -> None:
    form = {"PHASE": "RUN", "COLUMN": "2"}
    files = {"TABLE": ("table", TABLE)}
    job = requests.post(f"{site.url}/sum/async", data=form, files=files, timeout=60).url
    assert finished(job) == "COMPLETED", requests.get(job, timeout=60).text
    assert requests.get(f"{job}/results/stdout", timeout=60).text == "1\n"
    assert "slurm>" in requests.get(job, timeout=60).text  # the number by which Slurm knows it
    assert requests.delete(job, timeout=60).ok
