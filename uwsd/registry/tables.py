"""The table of the registry's records. Every SQL statement on it is in `store`."""

from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, Text

from uwsd.uws.tables import Instant

metadata = MetaData()

record = Table(
    "record",
    metadata,
    Column("identifier", Text, primary_key=True),
    # Grows with every change of any record: the order in which harvesters get them.
    Column("number", BigInteger, nullable=False, unique=True),
    Column("created", Instant, nullable=False),
    Column("datestamp", Instant, nullable=False),
    # Both are NULL for a deleted record, which is kept for ever.
    Column("digest", String(64)),
    Column("document", Text),
)
Index("record_datestamp", record.c.datestamp, record.c.number)
