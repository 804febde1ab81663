"""The resources of a job list, one module a row of the table in UWS 1.1 section 2.2.1."""

from uwsd.uws.resources import (
    destruction,
    error,
    executionduration,
    job,
    joblist,
    owner,
    parameters,
    phase,
    quote,
    results,
)
from uwsd.uws.resources.blueprint import uws

__all__ = [
    "destruction",
    "error",
    "executionduration",
    "job",
    "joblist",
    "owner",
    "parameters",
    "phase",
    "quote",
    "results",
    "uws",
]
