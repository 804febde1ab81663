"""Every document that a site shows to the VO is valid by the official schemas, of both ages."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests
from click.testing import CliRunner
from lxml import etree

from tests.registry.conftest import Site, running
from tests.schemas.test_agreement import official
from tests.serving import wait_until
from uwsd.cli import main
from uwsd.drain import Drain
from uwsd.health import Condition
from uwsd.registry.oai.documents import OAI, RI
from uwsd.schemas import validate
from uwsd.vosi.availability import availability
from uwsd.vosi.documents import AVAILABILITY, availability_document

BASIC = "ivo://ivoa.net/sso#BasicAA"
SERVICES = ("closed", "open")
CONFIG = """\
[auth]
anonymous = false

[services.closed]
title = "Closed <&> \\u0007"
description = "Takes what there is ü漢 \\u0007."
command = ["cat", "{FILE}"]
parameters.FILE = { type = "file", description = "A <file>", ucd = "meta.file" }
parameters.RADIUS = { type = "real", unit = "deg", range = [0, 1] }
parameters.PLACE = { type = "circle" }
requires = ["{here}/nothing"]
hint = "make \\u0007 it"

[services.open]
command = ["true"]
anonymous = true
examples.one = { title = "One", parameters = {} }
"""
BARE = """\
authority = { id = "org.example.bare", title = "A", description = "D" }
organisation = { title = "O", description = "D", reference_url = "https://www.example.org/" }
contact = { name = "N", email = "n@example.org" }
"""
DESCRIBED = """\
title = "A <title> & \\u0007 ü漢"
short_name = "sixteen letters!"
description = "Two\\nlines & <more>"
subjects = ["gpu-computing", "cloud-computing"]
reference_url = "https://www.example.org/?a=1&b=2"
creators = ["One <1>", "Two & three"]
rights = "Free for <research>"
rights_uri = "https://spdx.org/licenses/CC0-1.0.html"
"""
FULL = f"""\
{
    BARE.replace("org.example.bare", "org.example.full")
    .replace('"N"', '"N <&>"')
    .replace("email =", 'address = "Street 1 & 2", telephone = "+49 123", email =')
}
[platform]
{DESCRIBED}
[services.closed]
{DESCRIBED}
[services.open]
rights_uri = "https://www.example.org/terms"
"""


@pytest.fixture(scope="module", params=[BARE, FULL], ids=["bare", "full"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site with users, and with records that say as little or as much as they can."""
    folder = tmp_path_factory.mktemp("guarded")
    config = folder / "uwsd.toml"
    config.write_text(CONFIG)
    site = Site(folder, config, about=request.param)
    with running(site):
        own = {name: None for name in os.environ if name.startswith("UWSD_")}  # the tests' own
        done = CliRunner(env={**own, "UWSD_DATA": str(site.server.data)}).invoke(
            main,
            ["user", "add", "alice", "--password-stdin", "--config", str(config)],
            input="correct horse",
        )
        assert done.exit_code == 0, done.output
        wait_until(lambda: BASIC in site.ask("verb=ListRecords&metadataPrefix=ivo_vor").text)
        yield site


def check(document: bytes) -> etree._Element:
    root = etree.fromstring(document)
    validate(document)
    for catalog in ("rec", "rofr"):
        schema = official(catalog)
        assert schema.validate(root), schema.error_log
    return root


def test_what_harvesters_get(guarded: Site) -> None:
    for query in (
        "verb=Identify",
        "verb=ListSets",
        "verb=ListMetadataFormats",
        "verb=ListIdentifiers&metadataPrefix=ivo_vor",
        "verb=ListRecords&metadataPrefix=oai_dc",
        "verb=Nothing",
        "verb=GetRecord&metadataPrefix=ivo_vor&identifier=ivo://nobody/nothing",
    ):
        check(guarded.ask(query).content)
    listed = check(guarded.ask("verb=ListRecords&metadataPrefix=ivo_vor").content)
    records = {r.findtext("identifier"): r for r in listed.iter(f"{{{RI}}}Resource")}
    assert len(records) == 5 + len(SERVICES)
    for record in records.values():
        check(etree.tostring(record))
    closed = next(record for name, record in records.items() if str(name).endswith("/closed"))
    methods = {
        interface.findtext("accessURL"): [
            m.get("standardID") for m in interface.iterfind("securityMethod")
        ]
        for interface in closed.iterfind("capability/interface")
    }
    assert methods[f"{guarded.url}/closed/async"] == [BASIC]
    assert methods[f"{guarded.url}/closed/availability"] == []
    assert "\ufffd" in guarded.ask("verb=ListRecords&metadataPrefix=ivo_vor").text


def test_a_deleted_record(guarded: Site) -> None:
    text = (guarded.folder / "site.toml").read_text()
    guarded.write("site.toml", text.replace("[services.open]", "[services.x]") + SWITCHED_OFF)
    query = "verb=ListRecords&metadataPrefix=ivo_vor"
    wait_until(lambda: 'status="deleted"' in guarded.ask(query).text)
    root = check(guarded.ask(query).content)
    (header,) = root.iterfind(f".//{{{OAI}}}header[@status='deleted']")
    assert str(header.findtext(f"{{{OAI}}}identifier")).endswith("/open")
    guarded.write("site.toml", text)
    wait_until(lambda: 'status="deleted"' not in guarded.ask(query).text)


SWITCHED_OFF = "\n[services.open]\npublish = false\n"


def test_what_the_site_says_of_itself(guarded: Site) -> None:
    for path in ("", "/registry", *(f"/{name}" for name in SERVICES)):
        for name in ("capabilities", "availability"):
            answer = requests.get(f"{guarded.url}{path}/{name}", timeout=60)
            assert answer.status_code == 200, answer.text
            check(answer.content)


NOW = datetime(2026, 11, 25, 12, 0, 0, 123456, UTC)
CONDITIONS = {
    "up": Condition(since=NOW),
    "no supervisor": Condition(troubles=("no supervisor is at work",)),
    "database down": Condition(troubles=("the database cannot be used: OSError",), since=NOW),
    "one backend broken": Condition(backends=frozenset({"one"}), since=NOW),
    "all backends broken": Condition(backends=frozenset({"one", "two"}), since=NOW),
}
DRAINS = {
    "taking jobs": None,
    "draining": Drain(since=NOW),
    "draining until": Drain(since=NOW, until=NOW),
    "draining with a note": Drain(since=NOW, until=NOW, note="new <disks> & \x07 more"),
}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("drain", DRAINS)
def test_every_state_can_be_told(condition: str, drain: str) -> None:
    for troubles in ((), ("the service is not complete: <make> \x07 it",)):
        told = availability(CONDITIONS[condition], DRAINS[drain], {"one", "two"}, troubles)
        root = check(availability_document(told))
        is_well = (
            condition in ("up", "one backend broken") and drain == "taking jobs" and not troubles
        )
        assert root[0].text == ("true" if is_well else "false")
        assert (len(root) == 2 and root[1].tag == f"{{{AVAILABILITY}}}upSince") is (
            is_well and condition == "up"
        )
