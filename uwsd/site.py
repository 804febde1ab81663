"""A site: what the settings name, opened and ready. Web processes and the supervisor share it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from uwsd import plugins
from uwsd.backends.patient import Patient
from uwsd.capabilities.base import Capability
from uwsd.config import Settings
from uwsd.database import Aside, Database, at_once
from uwsd.migrations import require_schema
from uwsd.room import Room
from uwsd.uws.feed import Feed, SqliteFeed
from uwsd.uws.store import JobStore
from uwsd.uws.workspace import Workspaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The parts that do not depend on who serves them."""

    settings: Settings
    database: Database
    feed: Feed
    store: JobStore
    workspaces: Workspaces
    capabilities: Mapping[str, Capability]

    @classmethod
    def open(cls, settings: Settings, aside: Aside = at_once) -> Self:
        """Open the database and the data folder; make the capabilities."""
        database = open_database(settings, aside)
        require_schema(database)
        feed = _feed(database, settings)
        return cls(
            settings=settings,
            database=database,
            feed=feed,
            store=JobStore(database, feed),
            workspaces=Workspaces(settings.folder / "jobs"),
            capabilities=capabilities(settings),
        )

    def backends(self) -> dict[str, Patient]:
        """Open every backend."""
        return {
            name: Patient(
                plugins.load("uwsd.backends", chosen.type).create(
                    name, chosen.options, self.workspaces.root
                )
            )
            for name, chosen in self.settings.backends.items()
        }

    @property
    def room(self) -> Room:
        """What is left on the disk."""
        folders = (self.settings.folder, self.workspaces.root)
        return Room(folders, self.settings.data.reserve)

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def capabilities(settings: Settings) -> dict[str, Capability]:
    """Make the services; raise ValueError for one that cannot be."""
    return {
        name: plugins.load("uwsd.capabilities", service.capability).create(
            name, service, settings.here
        )
        for name, service in settings.services.items()
    }


def open_database(settings: Settings, aside: Aside = at_once) -> Database:
    """Open the database that the settings name; the embedded one is made when it is not there."""
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Database(settings.database_url, aside)


def _feed(database: Database, settings: Settings) -> Feed:
    if database.embedded:
        return SqliteFeed(database, settings.folder / "run")
    from uwsd.uws.feed_postgresql import PostgresqlFeed  # noqa: PLC0415 - an extra

    return PostgresqlFeed(database)
