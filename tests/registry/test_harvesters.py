"""Harvesters that are in use, on a large registry that changes under them."""

import re
import time
from collections.abc import Callable, Iterator
from random import Random, SystemRandom

import oaipmh_scythe
import pytest
import requests
import sickle
from lxml import etree
from lxml.etree import _Element
from oaipmh_scythe import Scythe
from sickle import Sickle

from tests.registry.conftest import RECORD, Site, running
from tests.serving import wait_until
from uwsd.registry.oai.arguments import Verb
from uwsd.registry.oai.documents import OAI, RI
from uwsd.registry.oai.token import Continuation, signing_key

RECORDS, PAGE = 2500, 400
OAI_TAG, RESOURCE = f"{{{OAI}}}", f"{{{RI}}}Resource"

Copy = dict[str, bytes | None]
"""What a harvester has: the records by identifier, None for those that are deleted."""

Harvest = Callable[..., Iterator[_Element]]
"""Yields ``oai:record`` elements."""


def by_sickle(site: Site, **more: str) -> Iterator[_Element]:
    arguments = {"metadataPrefix": "ivo_vor", "set": "ivo_managed", **more}
    try:
        for record in Sickle(f"{site.url}/oai", timeout=60).ListRecords(**arguments):
            yield record.xml
    except sickle.oaiexceptions.NoRecordsMatch:
        return


def by_scythe(site: Site, **more: str) -> Iterator[_Element]:
    with Scythe(f"{site.url}/oai") as scythe:
        try:
            for record in scythe.list_records(
                from_=more.get("from"), metadata_prefix="ivo_vor", set_="ivo_managed"
            ):
                yield record.xml
        except oaipmh_scythe.NoRecordsMatch:
            return


both = pytest.mark.parametrize("harvest", [by_sickle, by_scythe])


class Shelf:
    """The record files of a site, changed by chance."""

    def __init__(self, site: Site, random: Random, records: int) -> None:
        self.site, self.random = site, random
        self.texts = {f"r{n}": 0 for n in range(records)}
        self.next = records
        for name in self.texts:
            self.write(name)

    def write(self, name: str) -> None:
        self.site.write(f"{name}.xml", RECORD.format(name=name, text=self.texts[name]))

    def edit(self) -> None:
        """Change, delete or add a record, which may have been there before."""
        what = self.random.choice(("change", "delete", "add", "again"))
        name = f"r{self.next}" if what == "add" else f"r{self.random.randrange(self.next)}"
        if what == "delete":
            self.texts.pop(name, None)
            (self.site.folder / f"{name}.xml").unlink(missing_ok=True)
            return
        self.next += what == "add"
        self.texts[name] = self.random.randrange(10**9)
        self.write(name)

    def await_published(self) -> None:
        def are_published() -> bool:
            return self.texts == {
                name.rpartition("/")[2]: int(found[1])
                for name, document in self.site.published().items()
                if document and (found := re.search(rb"<title>Text (\d+)", document))
            }

        wait_until(are_published)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    seed = SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    folder = tmp_path_factory.mktemp("shelf")
    with running(Site(folder, UWSD_REGISTRY__PAGE_SIZE=str(PAGE))) as site:
        before = time.monotonic()
        shelf = Shelf(site, Random(seed), RECORDS)
        shelf.await_published()
        print(f"{RECORDS} files are written and published in {time.monotonic() - before:.1f} s")
        yield shelf


def take(copy: Copy, record: _Element) -> str:
    """Enter a record that was harvested into a copy; the last word counts."""
    name = record.findtext(f"{OAI_TAG}header/{OAI_TAG}identifier")
    assert name is not None
    resource = record.find(f"{OAI_TAG}metadata/{RESOURCE}")
    is_deleted = record.find(f"{OAI_TAG}header[@status='deleted']") is not None
    assert is_deleted is (resource is None)
    copy[name] = None if resource is None else canonical(resource)
    return name


def canonical(resource: _Element) -> bytes:
    return etree.tostring(resource, method="c14n", exclusive=True)


def stored(site: Site) -> Copy:
    blank = etree.XMLParser(remove_blank_text=True)  # as both harvesters read
    return {
        name: None if document is None else canonical(etree.fromstring(document, blank))
        for name, document in site.published().items()
    }


def response_date(site: Site) -> str:
    return str(
        etree.fromstring(site.ask("verb=Identify").content).findtext(f"{OAI_TAG}responseDate")
    )


@both
def test_edits_between_pages_lose_nothing(shelf: Shelf, harvest: Harvest) -> None:
    copy: Copy = {}
    times = 0
    for times, record in enumerate(harvest(shelf.site), 1):
        take(copy, record)
        if times % PAGE == 0 and times <= 4 * PAGE:  # this was the last of its page
            for _ in range(40):
                shelf.edit()
            shelf.await_published()
    assert copy == stored(shelf.site)
    assert times > len(copy) > RECORDS, "something changed after it had been listed"


@both
def test_incremental_harvests_agree_with_a_full_one(shelf: Shelf, harvest: Harvest) -> None:
    copy: Copy = {}
    taken: list[str] = []

    def visit(**since: str) -> str:
        now = response_date(shelf.site)
        taken.extend(take(copy, record) for record in harvest(shelf.site, **since))
        return now

    last = visit()
    taken.clear()
    for number in range(50):
        shelf.edit()
        if number % 10 == 9:  # now and then all is published; in between, it is as it happens
            shelf.await_published()
        if shelf.random.random() < 0.3:
            last = visit(**{"from": last})
    shelf.await_published()
    visit(**{"from": last})
    full: Copy = {}
    for record in harvest(shelf.site):
        take(full, record)
    assert copy == full == stored(shelf.site)
    assert len(taken) < RECORDS, "what had not changed was left out"


def test_tokens_outlive_the_server_and_refuse_to_be_changed(shelf: Shelf) -> None:
    site = shelf.site
    first = site.ask("verb=ListRecords&metadataPrefix=ivo_vor&from=2000-01-01").content
    found = re.search(rb"cursor=\"0\">([\w.-]+)</oai:resumptionToken>", first)
    assert found is not None
    text = found[1].decode()
    key = signing_key(site.server.data / "oai.key")

    def resumed(token: str, verb: str = "ListRecords") -> tuple[list[str | None], bytes]:
        content = web.get(f"{site.url}/oai?verb={verb}&resumptionToken={token}", timeout=60).content
        codes = [error.get("code") for error in etree.fromstring(content).iter(f"{OAI_TAG}error")]
        return codes, content.partition(b"<oai:request")[2]

    with requests.Session() as web:
        second = resumed(text)
        assert second[0] == []
        assert second[1].count(b"<oai:record>") == PAGE
        assert resumed(text, "ListIdentifiers")[0] == ["badResumptionToken"]
        spoiled = [Continuation.read(text, Verb.LIST_RECORDS, key).token(Verb.LIST_RECORDS, b"k")]
        for at in shelf.random.sample(range(len(text)), 40):
            other = shelf.random.choice([c for c in "AZaz09-_" if c != text[at]])
            spoiled += [text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :]]
        for token in spoiled:
            assert resumed(token)[0] == ["badResumptionToken"], token
    assert site.server.stop() == 0
    site.server.start()
    with requests.Session() as web:
        assert resumed(text) == second
