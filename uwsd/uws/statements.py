"""The statements of the job store, made once: to build one costs more than to run it."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from uwsd.uws.rows import Want
from uwsd.uws.tables import IS_LISTED, IS_UNSETTLED, Instant
from uwsd.uws.tables import execution as execution_table
from uwsd.uws.tables import job as job_table

_IS_JOB = job_table.c.id == bindparam("job_id")
_OF_SERVICE = job_table.c.service == bindparam("service")
_IS_EXECUTION = execution_table.c.job_id == bindparam("of_job")

STAMP = select(job_table.c.version, job_table.c.owner, job_table.c.phase).where(
    _IS_JOB, _OF_SERVICE
)
JOB = select(job_table).where(_IS_JOB)
JOB_OF_SERVICE = JOB.where(_OF_SERVICE)
LOCK_JOB = JOB.with_for_update()
LOCK_JOB_OF_SERVICE = JOB_OF_SERVICE.with_for_update()
ADD_JOB = insert(job_table)
WRITE_JOB = update(job_table).where(_IS_JOB, job_table.c.version == bindparam("was"))
DELETE_JOB = delete(job_table).where(_IS_JOB)

ADD_EXECUTION = insert(execution_table)
WRITE_EXECUTION = update(execution_table).where(_IS_EXECUTION)
SETTLE = WRITE_EXECUTION.where(execution_table.c.want != Want.FORGET).values(settled=True)
DROP_EXECUTION = delete(execution_table).where(_IS_EXECUTION)
UNSETTLED = (
    select(execution_table)
    .outerjoin(job_table, job_table.c.id == execution_table.c.job_id)
    .where(IS_UNSETTLED)
    .order_by(job_table.c.created, job_table.c.id)
)

EXPIRED = select(job_table.c.id).where(job_table.c.destruction <= bindparam("at"), IS_LISTED)
NEXT_DESTRUCTION = (
    select(job_table.c.destruction)
    .where(job_table.c.destruction.is_not(None), IS_LISTED)
    .order_by(job_table.c.destruction)
    .limit(1)
)


def _deadline() -> ColumnElement[Any]:
    limit = cast(job_table.c.duration, BigInteger) * 1000
    milliseconds = type_coerce(job_table.c.started, BigInteger) + limit
    return type_coerce(milliseconds, Instant)


def _running(column: ColumnElement[Any]) -> Select[Any]:
    """Select of the jobs that have a deadline: what they are at is not yet over."""
    return (
        select(column)
        .join(execution_table, execution_table.c.job_id == job_table.c.id)
        .where(
            IS_UNSETTLED,
            execution_table.c.want == Want.RUN,
            job_table.c.duration > 0,
            job_table.c.started.is_not(None),
            job_table.c.ended.is_(None),
        )
    )


OVERDUE = _running(job_table.c.id).where(_deadline() <= bindparam("at"))
NEXT_OVERDUE = _running(func.min(_deadline()))
JOB_KNOWN = select(job_table.c.id).where(_IS_JOB)
EXECUTION_KNOWN = select(execution_table.c.job_id).where(_IS_EXECUTION)
