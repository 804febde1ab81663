"""Services that clients of TAP can drive, beside the bundled ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import Serve
from tests.serving import finished, wait_until

SERVICES = Path(__file__).parent / "services" / "uwsd.toml"


@pytest.fixture(scope="session")
def site(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with these services."""
    with serve(tmp_path_factory.mktemp("services") / "data", SERVICES) as server:
        yield server.url
    assert "Traceback" not in server.log


@pytest.fixture(scope="session")
def tap(site: str) -> str:
    """The base URL of the service `table`, to which clients append `/async`."""
    return f"{site}/table"


@pytest.fixture(scope="session")
def phases(site: str) -> Iterator[dict[str, str]]:
    """A job in each phase that a client can bring about, all of them in one list."""
    jobs = {
        phase: requests.post(f"{site}/narrow/async", data=form, timeout=60).url
        for phase, form in {
            "PENDING": {"QUERY": "<&>", "RUNID": "mine"},
            "ABORTED": {"QUERY": "a"},
            "COMPLETED": {"QUERY": "b", "PHASE": "RUN"},
            "ERROR": {"QUERY": "nope", "PHASE": "RUN"},
            "EXECUTING": {"QUERY": "c", "SECONDS": "3000", "PHASE": "RUN"},
            "QUEUED": {"QUERY": "d", "UNKNOWN": "to the service", "PHASE": "RUN"},
        }.items()
    }
    requests.post(f"{jobs['ABORTED']}/phase", {"PHASE": "ABORT"}, timeout=60)
    assert finished(jobs["COMPLETED"]) == "COMPLETED"
    assert finished(jobs["ERROR"]) == "ERROR"
    for phase, job in jobs.items():
        wait_until(lambda job=job, p=phase: requests.get(f"{job}/phase", timeout=60).text == p)  # type: ignore[misc]
    yield jobs
    for job in jobs.values():
        requests.delete(job, timeout=60)
