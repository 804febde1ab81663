"""What the site remembers of itself, and the records of its registry."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "state",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
    )
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
    """Remove both."""
    for table in ("record", "state"):
        op.drop_table(table)
