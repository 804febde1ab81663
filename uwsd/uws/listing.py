"""The queries of job lists: filters, order, pages (UWS 1.1 section 2.2.2.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    bindparam,
    select,
    tuple_,
    union_all,
)

from uwsd.uws.job import JobRef
from uwsd.uws.phase import Phase
from uwsd.uws.tables import IS_LISTED, Instant
from uwsd.uws.tables import job as job_table

PAGE = 500
"""How many jobs are read at a time."""

_REF_COLUMNS = tuple(job_table.c[name] for name in ("id", "phase", "run_id", "owner", "created"))
_SIZE = bindparam("size", type_=Integer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What of a job list is wanted (2.2.2.1). They are combined by AND, then LAST cuts."""

    phases: tuple[Phase, ...] = ()
    after: datetime | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """The jobs among which filters choose: of one service, and of ``owner`` or of everyone."""

    service: str
    owner: str | None = None
    everyone: bool = False


def page(
    whose: Whose, filters: Filters, size: int, beyond: JobRef | None = None
) -> tuple[Select[Any], dict[str, Any]]:
    """Return the query for the next ``size`` jobs, those after ``beyond``, and its values."""
    values: dict[str, Any] = {"service": whose.service, "size": size}
    if not whose.everyone and whose.owner is not None:
        values["owner"] = whose.owner
    if filters.after is not None:
        values["after"] = filters.after
    if beyond is not None:
        values |= {"beyond": beyond.created, "beyond_id": beyond.id}
    values |= {_phase(number): phase for number, phase in enumerate(filters.phases)}
    return _query(frozenset(values), len(filters.phases), whose.everyone), values


@cache
def _query(names: frozenset[str], phases: int, everyone: bool) -> Select[Any]:
    """Return the query that takes the values of these names; to make it takes longer than to run.

    There is one limited branch a phase: with ``phase IN`` SQLite would walk the whole history.
    """
    refs = select(*_REF_COLUMNS).where(*_scope(names, everyone))
    if not phases:
        # ARCHIVED jobs are listed only when asked for by name.
        return _newest(refs.where(IS_LISTED), everyone)
    branches = [
        _newest(refs.where(job_table.c.phase == bindparam(_phase(number))), everyone)
        for number in range(phases)
    ]
    if phases == 1:
        return branches[0]
    merged = union_all(*(select(branch.subquery()) for branch in branches)).subquery()
    return select(merged).order_by(merged.c.created.desc(), merged.c.id.desc()).limit(_SIZE)


def _scope(names: frozenset[str], everyone: bool) -> Iterator[ColumnElement[bool]]:
    yield job_table.c.service == bindparam("service")
    if "owner" in names:
        yield job_table.c.owner == bindparam("owner")
    elif not everyone:
        yield job_table.c.owner.is_(None)
    if "after" in names:
        yield job_table.c.created > bindparam("after")
    if "beyond" in names:
        here = bindparam("beyond", type_=Instant), bindparam("beyond_id", type_=String)
        yield tuple_(job_table.c.created, job_table.c.id) < tuple_(*here)


def _newest(query: Select[Any], everyone: bool) -> Select[Any]:
    order = job_table.c.created.desc(), job_table.c.id.desc()
    if everyone:
        return query.order_by(*order).limit(_SIZE)
    # To PostgreSQL `owner IS NULL` makes no constant: it would not see that the index is in order.
    return query.order_by(job_table.c.owner.desc(), *order).limit(_SIZE)


def _phase(number: int) -> str:
    return f"phase_{number}"
