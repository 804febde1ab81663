"""vo-models: typed models of the documents, made by others from the standards."""

from datetime import UTC, datetime

import pytest
import requests
from vo_models.uws.models import Jobs, JobSummary, Parameter, Parameters, Results
from vo_models.vosi.capabilities import VOSICapabilities

pytestmark = pytest.mark.both_databases


class Narrow(Parameters):
    """What jobs of the service `narrow` are given."""

    QUERY: Parameter
    SECONDS: Parameter | None = None
    UNKNOWN: Parameter | None = None


def content(url: str) -> bytes:
    return requests.get(url, timeout=60).content


def test_jobs_in_every_phase(phases: dict[str, str]) -> None:
    for phase, url in phases.items():
        job = JobSummary[Narrow].from_xml(content(url))
        assert (job.phase, job.job_id, job.version) == (phase, url.rpartition("/")[2], "1.1")
        assert (job.run_id, job.owner_id) == ("mine" if phase == "PENDING" else None, None)
        assert (job.start_time is not None) == (phase in ("EXECUTING", "COMPLETED", "ERROR"))
        assert (job.end_time is not None) == (phase in ("ABORTED", "COMPLETED", "ERROR"))
        assert job.destruction > datetime.now(UTC) > job.creation_time
        if phase == "PENDING":
            assert job.parameters.QUERY.value == "<&>"
        if phase == "ERROR":
            assert "exit status 1" in job.error_summary.message
        if phase == "COMPLETED":
            result = job.results.results[0]
            assert (result.id, result.mime_type) == ("result", "application/x-votable+xml")
            assert result.size == len(content(result.href))


def test_lists_parameters_and_results(phases: dict[str, str]) -> None:
    jobs = Jobs.from_xml(content(phases["PENDING"].rpartition("/")[0]))
    assert {str(job.href): job.phase for job in jobs.jobref} == {u: p for p, u in phases.items()}
    created = [job.creation_time for job in jobs.jobref]
    assert created == sorted(created, reverse=True)
    assert Narrow.from_xml(content(f"{phases['QUEUED']}/parameters")).UNKNOWN.value == "to the service"
    results = Results.from_xml(content(f"{phases['COMPLETED']}/results"))
    assert [result.id for result in results.results] == ["result", "stdout", "stderr"]
    assert Results.from_xml(content(f"{phases['PENDING']}/results")).results == []


def test_capabilities(tap: str) -> None:
    found = VOSICapabilities.from_xml(content(f"{tap}/capabilities")).capability
    assert "ivo://ivoa.net/std/UWS#rest-1.1" in {str(each.standard_id) for each in found}
