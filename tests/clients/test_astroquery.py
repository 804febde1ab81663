"""astroquery: the job classes of its `TapPlus`, which read the documents with literal prefixes."""

import gc
from collections.abc import Iterator

import pytest
import requests
from astropy.table import Table
from astroquery.utils.tap.core import TapPlus

pytestmark = [
    pytest.mark.both_databases,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

QUERY = "SELECT x FROM t WHERE a < 1"


@pytest.fixture
def client(tap: str) -> Iterator[TapPlus]:
    yield TapPlus(url=tap)
    gc.collect()  # astroquery leaves answers open; here it is forgiven, in another test it is not


def test_a_query_and_its_job(client: TapPlus) -> None:
    job = client.launch_job_async(QUERY)
    assert list(job.get_results()["query"]) == [QUERY] * 3
    assert job.get_phase(update=True) == "COMPLETED"
    again = client.load_async_job(jobid=job.jobid)
    assert (again.get_phase(), again.parameters["QUERY"]) == ("COMPLETED", QUERY)
    assert list(again.get_results()["n"]) == [0, 1, 2]
    listed = {each.jobid: each.get_phase() for each in client.list_async_jobs()}
    assert listed[job.jobid] == "COMPLETED"


def test_a_table_is_uploaded(client: TapPlus) -> None:
    table = Table({"a": [1, 2, 3, 4]})
    job = client.launch_job_async(QUERY, upload_resource=table, upload_table_name="up1")
    assert list(job.get_results()["a"]) == [1, 2, 3, 4]


def test_a_query_that_fails_says_why(client: TapPlus) -> None:
    with pytest.raises((OSError, SystemError), match="exit status 1"):
        client.launch_job_async("SELECT nope").get_results()


def test_a_job_is_started_later_and_another_aborted(client: TapPlus, tap: str) -> None:
    job = client.launch_job_async(QUERY, autorun=False)
    assert job.get_phase(update=True) == "PENDING"
    job.start()
    assert job.wait_for_job_end()[1] == "COMPLETED"
    job = client.launch_job_async(QUERY, autorun=False)
    with pytest.raises(requests.HTTPError):
        job.abort()  # it is aborted, but astroquery expects 200 where UWS 2.2.3.5 has 303
    assert job.get_phase(update=True) == "ABORTED"
