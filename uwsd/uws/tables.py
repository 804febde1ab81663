"""The tables of the job store. Every SQL statement on them is in `store` and `feed`."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.types import TypeDecorator

from uwsd.uws.phase import Phase
from uwsd.uws.times import from_milliseconds, to_milliseconds


class Instant(TypeDecorator[datetime]):
    """An instant, kept as milliseconds since 1970: what is printed is what is compared."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        """Return what is stored."""
        return None if value is None else to_milliseconds(value)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> datetime | None:
        """Return what was meant."""
        return None if value is None else from_milliseconds(value)


metadata = MetaData()

job = Table(
    "job",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("service", String(32), nullable=False),
    Column("owner", Text),
    Column("run_id", String(64)),
    Column("phase", String(9), nullable=False),
    Column("created", Instant, nullable=False),
    Column("started", Instant),
    Column("ended", Instant),
    Column("quote", Instant),
    Column("duration", Integer, nullable=False),
    Column("destruction", Instant),
    Column("version", Integer, nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("info", JSON, nullable=False),
    Column("results", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
)

IS_LISTED: ColumnElement[bool] = job.c.phase != literal_column(f"'{Phase.ARCHIVED}'")
"""Spelled out and no parameter: an index of what is listed serves a query that says the same."""


def _index_where(condition: ColumnElement[bool], name: str, *columns: ColumnElement[Any]) -> None:
    Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


# One index for each way a list is asked for (2.2.2.1): newest first, ties by id.
_index_where(IS_LISTED, "job_list", job.c.service, job.c.created, job.c.id)
_index_where(IS_LISTED, "job_list_owner", job.c.service, job.c.owner, job.c.created, job.c.id)
Index("job_list_phase", job.c.service, job.c.phase, job.c.created, job.c.id)
Index("job_list_owner_phase", job.c.service, job.c.owner, job.c.phase, job.c.created, job.c.id)
_index_where(IS_LISTED, "job_destruction", job.c.destruction)

execution = Table(
    "execution",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("want", String(6), nullable=False),
    Column("backend", Text),
    Column("handle", Text),
    Column("settled", Boolean, nullable=False),
)
IS_UNSETTLED: ColumnElement[bool] = execution.c.settled.is_(False)
_index_where(IS_UNSETTLED, "execution_unsettled", execution.c.job_id)

change = Table(
    "change",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(36), nullable=False),
    sqlite_autoincrement=True,
)
