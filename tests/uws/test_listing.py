"""Indexes, not hope: what the databases would do for a query, at any number of jobs."""

import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Select

from tests.engines.postgresql import fresh_database
from uwsd.database import Database
from uwsd.migrations import migrate
from uwsd.uws import statements
from uwsd.uws.job import JobRef
from uwsd.uws.listing import Filters, Whose, page
from uwsd.uws.phase import Phase

AT = datetime(2026, 6, 1, tzinfo=UTC)
ABOVE = JobRef("job-9", Phase.COMPLETED, None, None, AT)
EVERYBODY = Whose(service="demo", everyone=True)
NOBODY = Whose(service="demo")
ADA = Whose(service="demo", owner="ada")
ASKED = [name for name, made in vars(statements).items() if isinstance(made, Select)]

# SQLite plans by rules. PostgreSQL plans by what it knows of the rows: of each kind there are many.
FILL = """
    INSERT INTO job SELECT
        'job-' || n, 'demo', CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'ada' ELSE 'user' || n % 97 END,
        NULL, (ARRAY['EXECUTING','QUEUED','HELD','ERROR','ARCHIVED','COMPLETED','PENDING'])[n % 7 + 1],
        1780000000000 + n * 60000, NULL, NULL, NULL, 0, 1780000000000 + n * 60000, 0, NULL,
        '{}', '[]', '[]'
    FROM generate_series(1, 20000) AS g(n);
    INSERT INTO execution SELECT id, 'run', 'local', id, id NOT LIKE '%99' FROM job;
    ANALYZE
"""
# It may still find a bitmap or a sort cheap while there are so few. Where it uses one although
# nothing is said to cost more, there is no index that would do.
ONLY_INDEXES = ("seqscan", "bitmapscan", "sort", "incremental_sort", "hashjoin", "mergejoin")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            database = Database.in_file(tmp_path_factory.mktemp("full") / "jobs.db")
        else:
            server = request.getfixturevalue("postgresql_server")
            database = Database(stack.enter_context(fresh_database(server)))
        stack.callback(database.close)
        migrate(database)
        if not database.embedded:
            with database.write() as connection:
                connection.exec_driver_sql(FILL.replace("%", "%%"))
        yield database


@pytest.mark.parametrize("whose", [EVERYBODY, NOBODY, ADA], ids=["everybody", "nobody", "ada"])
@pytest.mark.parametrize(
    "phases",
    [(), (Phase.EXECUTING,), (Phase.ARCHIVED,), (Phase.QUEUED, Phase.HELD, Phase.ERROR)],
    ids="+".join,
)
def test_a_page_of_a_list_is_read_in_order_from_an_index_that_has_no_other_jobs(
    full: Database, whose: Whose, phases: tuple[Phase, ...]
) -> None:
    for after, beyond in itertools.product((None, AT), (None, ABOVE)):
        plan = explain(full, *page(whose, Filters(phases=phases, after=after), 100, beyond))
        print(plan)
        refuse_scans(plan)
        index = "job_list" + "_owner" * (not whose.everyone) + "_phase" * bool(phases)
        assert set(re.findall(r"job_list\w*", plan)) == {index}
        assert "Filter" not in plan
        refuse_sorts(plan, at_most=len(phases) if len(phases) > 1 else 0)


@pytest.mark.parametrize("name", ASKED)
def test_no_query_of_the_store_looks_at_all_jobs(full: Database, name: str) -> None:
    values = {"job_id": "7", "of_job": "7", "service": "demo", "at": AT}
    plan = explain(full, getattr(statements, name), values)
    print(plan)
    refuse_scans(plan)
    refuse_sorts(plan, at_most=1 if name == "UNSETTLED" else 0)  # few, and seen to in order


def refuse_scans(plan: str) -> None:
    """Refuse to go through a whole table, or a whole index but the one of what is unsettled."""
    steps = plan.splitlines()
    scans = [
        step
        for step, below in itertools.pairwise([*steps, ""])
        if re.search(r"Seq Scan|SCAN (job|execution)", step)
        or (re.search(r"Index (Only )?Scan", step) and "Index Cond" not in below)
    ]
    assert [step for step in scans if "execution_unsettled" not in step] == [], plan


def refuse_sorts(plan: str, *, at_most: int) -> None:
    """Let pass what merges the pages of several phases."""
    sorts = re.findall(r"^\W*(?:Incremental )?Sort$|TEMP B-TREE", plan, re.MULTILINE)
    assert len(sorts) <= at_most, plan


def explain(database: Database, query: Select[Any], values: dict[str, Any]) -> str:
    bound = query.params(values).compile(database.engine, compile_kwargs={"literal_binds": True})
    with database.read() as connection:
        if database.embedded:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {bound}").all()
            return "\n".join(row.detail for row in rows)
        for way in ONLY_INDEXES:
            connection.exec_driver_sql(f"SET enable_{way} = off")
        rows = connection.exec_driver_sql(f"EXPLAIN (COSTS OFF) {bound}").all()
        connection.exec_driver_sql("RESET ALL")
        return "\n".join(row[0] for row in rows)
