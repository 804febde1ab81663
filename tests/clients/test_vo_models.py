"""vo-models: typed models of the documents, made by others from the standards."""

from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from pydantic_xml import BaseXmlModel
from vo_models.uws.models import Jobs, JobSummary, Parameter, Parameters, Results

pytestmark = pytest.mark.both_databases


class Narrow(Parameters):
    """What jobs of the service `narrow` are given."""

    QUERY: Parameter
    SECONDS: Parameter | None = None
    UNKNOWN: Parameter | None = None


def read(model: type[BaseXmlModel], url: str) -> dict[str, Any]:
    return model.from_xml(requests.get(url, timeout=60).content).model_dump()


def test_jobs_in_every_phase(phases: dict[str, str]) -> None:
    jobs = {phase: read(JobSummary[Narrow], url) for phase, url in phases.items()}
    for phase, job in jobs.items():
        assert (job["phase"], job["version"]) == (phase, "1.1")
        assert job["job_id"] == phases[phase].rpartition("/")[2]
        assert (job["run_id"], job["owner_id"]) == ("mine" if phase == "PENDING" else None, None)
        assert (job["start_time"] is not None) == (phase in ("EXECUTING", "COMPLETED", "ERROR"))
        assert (job["end_time"] is not None) == (phase in ("ABORTED", "COMPLETED", "ERROR"))
        assert (job["error_summary"] is not None) == (phase == "ERROR")
        assert job["destruction"] > datetime.now(UTC).isoformat() > job["creation_time"]
    assert jobs["PENDING"]["parameters"]["QUERY"]["value"] == "<&>"
    assert "exit status 1" in jobs["ERROR"]["error_summary"]["message"]
    result = jobs["COMPLETED"]["results"]["results"][0]
    assert (result["id"], result["mime_type"]) == ("result", "application/x-votable+xml")
    assert result["size"] == len(requests.get(result["href"], timeout=60).content)


def test_lists_parameters_and_results(phases: dict[str, str]) -> None:
    jobs = read(Jobs, phases["PENDING"].rpartition("/")[0])["jobref"]
    assert {job["href"]: job["phase"] for job in jobs} == {u: p for p, u in phases.items()}
    created = [job["creation_time"] for job in jobs]
    assert created == sorted(created, reverse=True)
    parameters = read(Narrow, f"{phases['QUEUED']}/parameters")
    assert parameters["UNKNOWN"]["value"] == "to the service"
    results = read(Results, f"{phases['COMPLETED']}/results")["results"]
    assert [result["id"] for result in results] == ["result", "stdout", "stderr"]
    assert read(Results, f"{phases['PENDING']}/results") == {"results": []}
