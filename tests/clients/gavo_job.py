"""The lives of jobs, as GAVO's client library sees them: run by the python that has it."""

import json
import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO

from gavo import votable
from gavo.votable.tapquery import ADQLTAPJob, RemoteAbort, RemoteError, WrongStatus


def whole_life(tap: str) -> dict[str, object]:
    """Set and read all there is of a job, run it, and read its result."""
    job = ADQLTAPJob(tap, "to be replaced", userParams={"ROWS": 2})
    seen: dict[str, object] = {"phase": job.phase, "quote": job.quote, "owner": job.owner}
    job.executionDuration = 33
    job.destruction = until = datetime.now(UTC).replace(microsecond=0, tzinfo=None) + timedelta(2)
    job.setParameter("QUERY", "SELECT 1")
    seen["durations"] = [job.executionDuration, job.info["executionDuration"]]
    seen["destruction is kept"] = job.destruction == job.info["destruction"] == until
    seen["parameters"] = dict(job.parameters)
    job.run()
    seen["phases afterwards"] = [job.phase, job.info["phase"]]
    seen["results"] = [result.id for result in job.allResults]
    seen["rows"] = votable.load(job.openResult())[0]
    seen["listed rows"] = votable.load(job.openResult(simple=False))[0]
    job.delete()
    seen["afterwards"] = status(job)
    return seen


def upload(tap: str, table: bytes) -> int:
    """Give a table along; return how many rows come back."""
    job = ADQLTAPJob(tap, "SELECT 2")
    job.addUpload("up1", BytesIO(table))
    job.run()
    return len(votable.load(job.openResult())[0])


def failure(tap: str) -> str:
    """Return what is said of a query that fails."""
    try:
        ADQLTAPJob(tap, "SELECT nope").run()
    except RemoteError as error:
        return str(error)
    return "no error"


def abort(tap: str) -> list[object]:
    """Abort a job that runs, and delete it with a POST."""
    job = ADQLTAPJob(tap, "SELECT 3", userParams={"SECONDS": 300})
    job.start()
    job.abort()
    phase = job.phase
    try:
        job.raiseIfError()
    except RemoteAbort:
        phase += " and told so"
    job.delete(usePOST=True)
    return [phase, status(job)]


def status(job: ADQLTAPJob) -> int:
    """Return the status of a job that should not be there."""
    try:
        return 200 if job.phase else 0
    except WrongStatus as error:
        return int(error.foundStatus)


if __name__ == "__main__":
    base = sys.argv[1]
    print(
        json.dumps(
            {
                "life": whole_life(base),
                "upload": upload(base, sys.stdin.buffer.read()),
                "failure": failure(base),
                "abort": abort(base),
            }
        )
    )
