"""The schema of the database: only alembic changes it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from uwsd.database import Database


class SchemaError(Exception):
    """The database has another schema than this version of uwsd works with."""


def migrate(database: Database) -> None:
    """Bring the schema up to what this version works with, or leave it and raise `SchemaError`."""
    try:
        with database.write() as connection:
            command.upgrade(_alembic(connection=connection), "head")
    except CommandError as error:
        raise SchemaError(f"the database cannot be migrated by this uwsd: {error}") from None


def require_schema(database: Database) -> None:
    """Raise `SchemaError` when the schema is not the one that this version works with."""
    with database.read() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    wanted = ScriptDirectory.from_config(_alembic()).get_current_head()
    if found != wanted:
        raise SchemaError(
            f"the database has schema {found or 'none'}, this uwsd works with {wanted}; "
            "run `uwsd migrate`, or a uwsd that knows it"
        )


def _alembic(**attributes: object) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes.update(attributes)
    return config
