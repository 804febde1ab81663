"""The resources of a job list, one module a row of the table in UWS 1.1 section 2.2.1.

`sync` is the door of DALI 1.2 section 2.2 to the same jobs.
"""

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
    sync,
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
    "sync",
    "uws",
]
