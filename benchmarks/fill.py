"""Many jobs, quickly: by SQL, and not by a POST each."""

from uwsd.database import Database

START = 1_780_000_000_000
"""When the first of them was created, in milliseconds since 1970."""
EVERY = 1000
"""Milliseconds between two of them."""

_COLUMNS = """
    'demo', {owner}, NULL, {phase}, {start} + n * {every}, NULL, NULL, NULL, 60,
    4000000000000 + n, 0, NULL, '{{}}', '[]',
    '[{{"name": "TEXT", "value": "hello", "source": "inline", "media_type": "text/plain",
        "path": null, "size": null}}]'
"""
_SQLITE = """
    WITH RECURSIVE g(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM g WHERE n < {count} - 1)
    INSERT INTO job SELECT printf('%08x-0000-4000-8000-%012x', n, n), {columns} FROM g
"""
_POSTGRESQL = """
    INSERT INTO job
    SELECT lpad(to_hex(n), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(n), 12, '0'), {columns}
    FROM generate_series(0, {count} - 1) AS g(n)
"""


def job_id(number: int) -> str:
    """Return the id of a job that `fill` has made."""
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def fill(url: str, count: int, *, phase: str = "'PENDING'", owner: str = "NULL") -> None:
    """Make jobs of the service ``demo``; ``phase`` and ``owner`` are SQL, of the number ``n``."""
    database = Database(url)
    sql = _SQLITE if database.embedded else _POSTGRESQL
    columns = _COLUMNS.format(owner=owner, phase=phase, start=START, every=EVERY)
    with database.write() as connection:
        statement = sql.format(columns=columns, count=count)
        connection.exec_driver_sql(statement if database.embedded else statement.replace("%", "%%"))
    if not database.embedded:
        with database.read() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    database.close()
