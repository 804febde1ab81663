"""The example of a site beside Docker, as it stands."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.engines.docker import DockerEngine
from tests.serving import Server, finished, wait_until

CONFIG = Path(__file__).parents[2] / "examples/sites/docker/uwsd.toml"
TABLE = b"1 0.5\n2 0.25\n3 0.25\n"


@pytest.fixture
def site(docker_server: DockerEngine, tmp_path: Path) -> Iterator[Server]:
    environment = {
        "UWSD_SERVER__BASE_URL": "",  # a name that only the example has
        "UWSD_SERVER__TRUSTED_PROXIES": "[]",
        "UWSD_BACKENDS__DOCKER__URL": docker_server.url,
        "UWSD_BACKENDS__DOCKER__ALLOWED": "[]",
        "UWSD_SERVICES__SUM__IMAGE": docker_server.image,
    }
    server = Server(tmp_path / "data", CONFIG, **environment).start()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_the_example_works_as_it_stands(site: Server, docker_server: DockerEngine) -> None:
    job = _sum(site, TABLE, COLUMN="2")
    assert finished(job) == "COMPLETED", requests.get(job, timeout=60).text
    assert requests.get(f"{job}/results/stdout", timeout=60).text == "1\n"
    told = requests.get(job, timeout=60).text
    assert f"{docker_server.image}</" in told
    assert re.search(r"<([a-z]+:)?container[^>]*>[0-9a-f]{12}<", told)
    assert "true" in requests.get(f"{site.url}/sum/availability", timeout=60).text
    assert requests.delete(job, timeout=60).ok


def test_jobs_go_on_while_the_server_is_dead(site: Server) -> None:
    jobs = [_sum(site, TABLE, COLUMN="1") for _ in range(4)]
    site.kill()
    site.start()
    assert [finished(job) for job in jobs] == ["COMPLETED"] * 4
    for job in jobs:
        assert requests.get(f"{job}/results/stdout", timeout=60).text == "6\n"
        assert requests.delete(job, timeout=60).ok
    wait_until(lambda: not [p for p in (site.data / "jobs").iterdir() if p.name[0] != "."])


def _sum(site: Server, table: bytes, **form: str) -> str:
    files = {"TABLE": ("table", table)}
    form = {"PHASE": "RUN", **form}
    return requests.post(f"{site.url}/sum/async", data=form, files=files, timeout=60).url
