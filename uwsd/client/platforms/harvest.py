"""Platforms of one publishing registry, read from its OAI-PMH endpoint directly."""

from uwsd.client.errors import NotARegistry
from uwsd.client.platforms import Platform, Wanted
from uwsd.client.platforms.documents import read_page
from uwsd.client.web import Web

_MOST_PAGES = 1000
"""After as many, a list is taken to have no end."""


def harvest(url: str, wanted: Wanted) -> list[Platform]:
    """Return the platforms that the registry at ``url`` lists."""
    web = Web(url)
    # A record that changes meanwhile comes again, or comes as deleted: the last word counts.
    records: dict[str, Platform | None] = {}
    query = [("verb", "ListRecords"), ("metadataPrefix", "ivo_vor"), ("set", "ivo_managed")]
    for _ in range(_MOST_PAGES):
        page = read_page(web.get(url, query).content, url, wanted.standard)
        records |= page.records
        if not page.token:
            fitting = (p for _, p in sorted(records.items()) if p is not None and wanted.fits(p))
            return list(fitting)
        resumed = [("verb", "ListRecords"), ("resumptionToken", page.token)]
        if resumed == query:
            break
        query = resumed
    raise NotARegistry(f"{url} goes on for ever")
