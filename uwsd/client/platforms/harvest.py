"""Platforms of one publishing registry, read from its OAI-PMH endpoint directly."""

from collections.abc import Iterator

from uwsd.client.errors import NotARegistry
from uwsd.client.platforms import Platform, Wanted
from uwsd.client.platforms.records import read_page
from uwsd.client.web import Web

_MOST_PAGES = 10_000


def harvest(url: str, wanted: Wanted) -> Iterator[Platform]:
    """Yield the platforms that the registry at ``url`` lists."""
    web = Web(url)
    query = [("verb", "ListRecords"), ("metadataPrefix", "ivo_vor"), ("set", "ivo_managed")]
    for _ in range(_MOST_PAGES):
        found, token = read_page(web.get(url, query).content, url, wanted.standard)
        yield from filter(wanted.fits, found)
        if not token:
            return
        query = [("verb", "ListRecords"), ("resumptionToken", token)]
    raise NotARegistry(f"{url} goes on for ever")
