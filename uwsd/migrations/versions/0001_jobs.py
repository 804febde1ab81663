"""Jobs, executions and the change feed."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables and the indexes of the job list."""
    op.create_table(
        "job",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("run_id", sa.String(64)),
        sa.Column("phase", sa.String(9), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("started", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
        sa.Column("quote", sa.BigInteger),
        sa.Column("duration", sa.Integer, nullable=False),
        sa.Column("destruction", sa.BigInteger),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("info", sa.JSON, nullable=False),
        sa.Column("results", sa.JSON, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
    )
    op.create_index("job_list", "job", ["service", "created", "id"])
    op.create_index("job_list_owner", "job", ["service", "owner", "created", "id"])
    op.create_index("job_list_phase", "job", ["service", "phase", "created", "id"])
    op.create_index("job_list_owner_phase", "job", ["service", "owner", "phase", "created", "id"])
    op.create_index("job_destruction", "job", ["destruction"])
    op.create_table(
        "execution",
        sa.Column("job_id", sa.String(36), primary_key=True),
        sa.Column("want", sa.String(6), nullable=False),
        sa.Column("backend", sa.Text),
        sa.Column("handle", sa.Text),
        sa.Column("settled", sa.Boolean, nullable=False),
    )
    op.create_index("execution_settled", "execution", ["settled"])
    op.create_table(
        "change",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(36), nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Remove everything."""
    for table in ("change", "execution", "job"):
        op.drop_table(table)
