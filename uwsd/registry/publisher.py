"""Keeps the registry's records as the site is: at start, and when a file of its has changed."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from uwsd.config import ConfigError
from uwsd.registry.finished import RecordRefused, files, read_folder
from uwsd.registry.records import Offer, Records
from uwsd.registry.store import Draft, RecordStore

_log = logging.getLogger(__name__)

Signature = tuple[frozenset[tuple[str, int, int]], float]
"""Name, time and size of each file, and when what is offered has changed."""


class Publisher:
    """Publishes what is in ``folder`` and what is offered, whenever it is another than before."""

    def __init__(
        self,
        folder: Path,
        store: RecordStore,
        offer: Callable[[], Offer],
        *,
        page_size: int,
        changed: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._store = store
        self._offer = offer
        self._page_size = page_size
        self._changed = changed  # when what is offered last changed while the site runs
        self._seen: Signature | None = None

    def refresh(self) -> None:
        """Publish if a file has changed; one that is not good leaves all records as they are."""
        now = frozenset(_marks(self._folder)), self._changed()
        if now == self._seen:
            return
        try:
            drafts = site_drafts(self._folder, self._offer(), self._page_size)
        except (ConfigError, RecordRefused) as error:
            _log.error("the registry's records stay as they were: %s", error)
            drafts = None
        if drafts is not None:
            changed = self._store.publish(drafts)
            _log.info("the registry has %d records, %d of them changed", len(drafts), changed)
        self._seen = now  # not before: what the database refused is to be tried again


def _marks(folder: Path) -> Iterator[tuple[str, int, int]]:
    for path in files(folder):
        with suppress(FileNotFoundError):  # it may be being replaced just now
            status = path.stat()
            yield path.name, status.st_mtime_ns, status.st_size


def site_drafts(folder: Path, offer: Offer, page_size: int) -> list[Draft] | None:
    """Return the drafts of all records, or None for a site that publishes none.

    A finished record takes the place of the one that would have been made.
    Raises `ConfigError` or `RecordRefused` with what is wrong, and where.
    """
    written = read_folder(folder)
    if written is None:
        return None
    site, finished = written
    made = Records(site=site, offer=offer, page_size=page_size).drafts()
    return list({draft.identifier: draft for draft in (*made, *finished)}.values())
