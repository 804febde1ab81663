"""The queries of job lists: filters, order, pages (UWS 1.1 section 2.2.2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, literal, select, tuple_, union_all

from uwsd.uws.phase import Phase
from uwsd.uws.tables import Instant
from uwsd.uws.tables import job as job_table

PAGE = 500
"""How many jobs are read at a time."""

_REF_COLUMNS = tuple(job_table.c[name] for name in ("id", "phase", "run_id", "owner", "created"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What of a job list is wanted (2.2.2.1). They are combined by AND, then LAST cuts."""

    phases: tuple[Phase, ...] = ()
    after: datetime | None = None
    last: int | None = None


def page(
    conditions: Sequence[ColumnElement[bool]], phases: Sequence[Phase], size: int
) -> Select[Any]:
    """One limited branch a phase: with ``phase IN`` SQLite would walk the whole history."""
    if not phases:
        return _newest(select(*_REF_COLUMNS).where(*conditions), size)
    branches = [
        select(
            _newest(
                select(*_REF_COLUMNS).where(*conditions, job_table.c.phase == phase), size
            ).subquery()
        )
        for phase in phases
    ]
    merged = union_all(*branches).subquery()
    newest = select(merged).order_by(merged.c.created.desc(), merged.c.id.desc())
    return newest.limit(size)


def _newest(query: Select[Any], size: int) -> Select[Any]:
    return query.order_by(job_table.c.created.desc(), job_table.c.id.desc()).limit(size)


def before(row: Row[Any]) -> ColumnElement[bool]:
    """Return the condition that leaves what comes after ``row`` in a list."""
    here = tuple_(literal(row.created, Instant), literal(row.id))
    return tuple_(job_table.c.created, job_table.c.id) < here
