"""The records of the registry."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "record",
        sa.Column("identifier", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, unique=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("datestamp", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("document", sa.Text),
    )
    op.create_index("record_datestamp", "record", ["datestamp", "number"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("record")
