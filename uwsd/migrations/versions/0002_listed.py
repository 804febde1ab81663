"""Leave ARCHIVED jobs and settled executions out of the indexes in which nobody looks for them.

Years of what is over must not slow down what is asked today.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_INDEXES = {
    "job_list": ("service", "created", "id"),
    "job_list_owner": ("service", "owner", "created", "id"),
    "job_destruction": ("destruction",),
}
_IS_LISTED = sa.text("phase != 'ARCHIVED'")


def upgrade() -> None:
    """Make the indexes again, of less."""
    for name, columns in _INDEXES.items():
        op.drop_index(name, "job")
        op.create_index(name, "job", columns, sqlite_where=_IS_LISTED, postgresql_where=_IS_LISTED)
    op.drop_index("execution_settled", "execution")
    op.create_index(
        "execution_unsettled",
        "execution",
        ["job_id"],
        sqlite_where=sa.text("settled IS 0"),
        postgresql_where=sa.text("settled IS false"),
    )


def downgrade() -> None:
    """Make them whole."""
    for name, columns in _INDEXES.items():
        op.drop_index(name, "job")
        op.create_index(name, "job", columns)
    op.drop_index("execution_unsettled", "execution")
    op.create_index("execution_settled", "execution", ["settled"])
