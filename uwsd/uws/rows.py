"""Jobs and executions as rows of the tables, and back."""

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

from sqlalchemy import CursorResult, Row

from uwsd.uws.errors import NotFound
from uwsd.uws.job import ErrorSummary, ErrorType, Job, JobRef, Parameter, Result, Source
from uwsd.uws.phase import Phase
from uwsd.uws.tables import job as job_table


class Want(StrEnum):
    """What shall become of a job on its engine."""

    RUN = auto()
    STOP = auto()
    FORGET = auto()  #: stop it, free everything, remove its files


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What the supervisor knows of a job that was committed for running, or left files."""

    job_id: str
    want: Want
    backend: str | None = None  #: set before the backend is first asked
    handle: str | None = None
    settled: bool = False  #: the engine has said its last word


def columns_of(job: Job) -> dict[str, Any]:
    """Return a job as its row keeps it."""
    columns = {name: getattr(job, name) for name in _PLAIN}
    return columns | {
        "error": None if job.error is None else _fields(job.error),
        "results": [_fields(result) for result in job.results],
        "parameters": [_fields(parameter) for parameter in job.parameters],
    }


def _fields(part: ErrorSummary | Result | Parameter) -> dict[str, Any]:
    # asdict would copy every text deeply.
    return {field: getattr(part, field) for field in part.__slots__}


_PLAIN = tuple(c.name for c in job_table.c if c.name not in {"error", "results", "parameters"})


def found(rows: CursorResult[Any], job_id: str) -> Job:
    """Return the one job that a query has found, or raise `NotFound`."""
    row = rows.one_or_none()
    if row is None:
        raise no_job(job_id)
    return job_of(row)


def no_job(job_id: str) -> NotFound:
    """Return the answer to a question for a job that is not there."""
    return NotFound(f"there is no job {job_id}; it may have been deleted or have expired")


def job_of(row: Row[Any]) -> Job:
    """Return the job that a row keeps."""
    columns = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    error = columns.pop("error")
    return Job(
        **columns
        | {
            "phase": Phase(columns["phase"]),
            "results": tuple(Result(**result) for result in columns["results"]),
            "parameters": tuple(_parameter(**stored) for stored in columns["parameters"]),
            "error": None if error is None else _error(**error),
        }
    )


def _parameter(*, source: str, **rest: Any) -> Parameter:
    return Parameter(source=Source(source), **rest)


def _error(*, message: str, type: str) -> ErrorSummary:  # noqa: A002 - the schema's name
    return ErrorSummary(message=message, type=ErrorType(type))


def ref_of(row: Row[Any]) -> JobRef:
    """Return a row of a list; its columns are in the order of `JobRef`'s fields."""
    job_id, phase, run_id, owner, created = tuple(row)
    return JobRef(job_id, _PHASES[phase], run_id, owner, created)


_PHASES = {str(phase): phase for phase in Phase}
"""A look here takes a tenth of what it takes to call `Phase`, and lists are long."""


def execution_of(row: Row[Any]) -> Execution:
    """Return the execution that a row keeps."""
    job_id, want, backend, handle, settled = tuple(row)
    return Execution(
        job_id=job_id, want=Want(want), backend=backend, handle=handle, settled=settled
    )
