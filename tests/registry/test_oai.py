"""OAI-PMH over a socket: what each request gets, and every answer valid."""

import pytest
import requests
from lxml import etree

from tests.registry.conftest import Site
from uwsd.registry.oai.documents import OAI, RI, XSI
from uwsd.schemas import validate

NS = {"o": OAI, "ri": RI}
PLATFORM = "ivo://org.example.uwsd/platform"
LIST = "metadataPrefix=ivo_vor"

ERRORS = [
    # the verb
    ("", "badVerb"),
    ("verb=", "badVerb"),
    ("verb=identify", "badVerb"),
    ("verb=Identify ", "badVerb"),
    ("verb=IDENTIFY", "badVerb"),
    ("Verb=Identify", "badVerb"),
    ("verb=Identify&verb=Identify", "badVerb"),
    ("verb=Identify&verb=ListSets", "badVerb"),
    ("verb=%00", "badVerb"),
    ("verb=%3Cscript%3E", "badVerb"),
    ("verb=" + "x" * 5000, "badVerb"),
    ("metadataPrefix=oai_dc", "badVerb"),
    # arguments that a verb does not take
    ("verb=Identify&test=test", "badArgument"),
    ("verb=Identify&metadataPrefix=oai_dc", "badArgument"),
    ("verb=Identify&%EF%BF%BE=1", "badArgument"),
    ("verb=Identify&=", "badArgument"),
    ("verb=Identify&" + "&".join(f"a{n}=1" for n in range(300)), "badArgument"),
    ("verb=Identify&" + "n" * 100 + "=1", "badArgument"),
    ("verb=ListSets&set=ivo_managed", "badArgument"),
    ("verb=ListSets&resumptionToken=x&set=ivo_managed", "badArgument"),
    (f"verb=ListMetadataFormats&identifier={PLATFORM}&from=2026-01-01", "badArgument"),
    (f"verb=ListRecords&{LIST}&identifier={PLATFORM}", "badArgument"),
    ("verb=ListRecords&metadataprefix=oai_dc", "badArgument"),
    (f"verb=GetRecord&{LIST}&identifier={PLATFORM}&from=2026-01-01", "badArgument"),
    # arguments that are missing
    ("verb=GetRecord", "badArgument"),
    (f"verb=GetRecord&identifier={PLATFORM}", "badArgument"),
    (f"verb=GetRecord&{LIST}", "badArgument"),
    ("verb=ListRecords", "badArgument"),
    ("verb=ListIdentifiers", "badArgument"),
    ("verb=ListRecords&from=2026-01-01", "badArgument"),
    # arguments that are given twice
    (f"verb=ListRecords&{LIST}&{LIST}", "badArgument"),
    (f"verb=ListRecords&{LIST}&metadataPrefix=oai_dc", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2026-01-01&from=2026-01-01", "badArgument"),
    (f"verb=GetRecord&{LIST}&identifier={PLATFORM}&identifier={PLATFORM}", "badArgument"),
    # forms
    (f"verb=GetRecord&{LIST}&identifier=", "badArgument"),
    (f"verb=GetRecord&{LIST}&identifier=a%20b", "badArgument"),
    (f"verb=GetRecord&{LIST}&identifier=%5B", "badArgument"),
    (f"verb=GetRecord&{LIST}&identifier=%25zz", "badArgument"),
    (f'verb=GetRecord&{LIST}&identifier=invalid\\"id', "badArgument"),
    (f"verb=GetRecord&{LIST}&identifier=%zz", "badArgument"),
    (f"verb=GetRecord&{LIST}&identifier=%FF", "badArgument"),
    (f"verb=GetRecord&metadataPrefix=&identifier={PLATFORM}", "badArgument"),
    (f"verb=GetRecord&metadataPrefix=a%20b&identifier={PLATFORM}", "badArgument"),
    ("verb=ListRecords&metadataPrefix=%3Cb%3E", "badArgument"),
    (f"verb=ListRecords&{LIST}&set=", "badArgument"),
    (f"verb=ListRecords&{LIST}&set=a%20b", "badArgument"),
    (f"verb=ListRecords&{LIST}&set=:a", "badArgument"),
    (f"verb=ListRecords&{LIST}&set=really_wrong_set&from=some_date&until=some_date", "badArgument"),
    # dates
    (f"verb=ListRecords&{LIST}&from=", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001-01", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=20010101", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2026-02-30", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2026-13-01", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=0000-01-01", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001-01-01T00:00Z", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001-01-01T00:00:00", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001-01-01T00:00:00.5Z", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001-01-01T00:00:00%2B01:00", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001-01-01T24:00:01Z", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001-01-01 00:00:00Z", "badArgument"),
    (f"verb=ListRecords&{LIST}&until=%D9%A2026-01-01", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2001-01-01&until=2003-01-01T00:00:00Z", "badArgument"),
    (f"verb=ListRecords&{LIST}&from=2000-01-01&until=1999-01-01", "badArgument"),
    # tokens
    ("verb=ListRecords&resumptionToken=junktoken", "badResumptionToken"),
    ("verb=ListRecords&resumptionToken=e30.AAAA", "badResumptionToken"),
    ("verb=ListRecords&resumptionToken=.", "badResumptionToken"),
    ("verb=ListIdentifiers&resumptionToken=junktoken", "badResumptionToken"),
    ("verb=ListSets&resumptionToken=junktoken", "badResumptionToken"),
    ("verb=ListRecords&resumptionToken=", "badArgument"),
    ("verb=ListRecords&resumptionToken=a/b", "badArgument"),
    ("verb=ListRecords&resumptionToken=" + "a" * 1001, "badArgument"),
    (f"verb=ListRecords&resumptionToken=junktoken&{LIST}", "badArgument"),
    # what there is not
    ("verb=ListRecords&metadataPrefix=illegal_mdp", "cannotDisseminateFormat"),
    (f"verb=GetRecord&metadataPrefix=OAI_DC&identifier={PLATFORM}", "cannotDisseminateFormat"),
    ("verb=GetRecord&metadataPrefix=no&identifier=no", "cannotDisseminateFormat"),
    (f"verb=GetRecord&{LIST}&identifier=really_wrong_id", "idDoesNotExist"),
    (f"verb=GetRecord&{LIST}&identifier={PLATFORM}x", "idDoesNotExist"),
    ("verb=ListMetadataFormats&identifier=really_wrong_id", "idDoesNotExist"),
    (f"verb=ListRecords&{LIST}&until=2000-01-01", "noRecordsMatch"),
    (f"verb=ListRecords&{LIST}&from=2999-01-01", "noRecordsMatch"),
    (f"verb=ListRecords&{LIST}&set=really_wrong_set", "noRecordsMatch"),
    (f"verb=ListIdentifiers&{LIST}&set=ivo_managed:sub", "noRecordsMatch"),
]


def read(answer: requests.Response) -> etree._Element:
    """Return the root of an answer, which is valid whatever was asked."""
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert answer.content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    validate(answer.content)
    return etree.fromstring(answer.content)


def codes(root: etree._Element) -> list[str | None]:
    return [error.get("code") for error in root.iterfind("o:error", NS)]


@pytest.mark.parametrize(("query", "code"), ERRORS)
def test_a_mistake_is_told_by_its_code(site: Site, query: str, code: str) -> None:
    root = read(site.ask(query))
    assert codes(root) == [code]
    request = root.find("o:request", NS)
    assert request is not None
    assert request.text == f"{site.url}/oai"
    assert bool(request.attrib) is (code not in ("badVerb", "badArgument"))


def test_there_are_many_mistakes() -> None:
    assert len(ERRORS) >= 60


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "application/json"}, b"{}"),
        ({"Content-Type": "multipart/form-data"}, b"verb=Identify"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"verb=%F"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"verb=" + b"x" * 3_000_000),
    ],
)
def test_a_body_that_cannot_be_read_is_told_too(
    site: Site, headers: dict[str, str], body: bytes
) -> None:
    answer = requests.post(f"{site.url}/oai", body, headers=headers, timeout=60)
    assert codes(read(answer)) == ["badArgument"]


def test_get_and_post_are_the_same(site: Site) -> None:
    arguments = {"verb": "GetRecord", "metadataPrefix": "oai_dc", "identifier": PLATFORM}
    posted = read(requests.post(f"{site.url}/oai", arguments, timeout=60))
    got = read(requests.get(f"{site.url}/oai", arguments, timeout=60))
    for root in (posted, got):
        root[0].text = ""  # responseDate
    assert etree.tostring(posted) == etree.tostring(got)
    assert posted.find("o:request", NS).attrib == arguments  # type: ignore[union-attr]
    both = requests.post(f"{site.url}/oai?verb=Identify", arguments, timeout=60)
    assert codes(read(both)) == ["badArgument"]


def test_identify_holds_the_record_of_the_registry(site: Site) -> None:
    root = read(site.ask("verb=Identify"))
    said = {etree.QName(child).localname: child.text for child in root[2]}
    assert said["baseURL"] == f"{site.url}/oai"
    assert said["protocolVersion"] == "2.0"
    assert said["deletedRecord"] == "persistent"
    assert said["granularity"] == "YYYY-MM-DDThh:mm:ssZ"
    assert said["adminEmail"] == "operators@example.org"
    assert len(said["earliestDatestamp"] or "") == 20
    (described,) = root.iterfind("o:Identify/o:description/ri:Resource", NS)
    listed = read(site.ask(f"verb=GetRecord&{LIST}&identifier=ivo://org.example.uwsd/registry"))
    (record,) = listed.iterfind(".//ri:Resource", NS)
    assert etree.tostring(described, with_tail=False) == etree.tostring(record, with_tail=False)
    assert described.get(f"{{{XSI}}}type") == "vg:Registry"


def test_every_record_is_there_in_both_formats(site: Site) -> None:
    full = read(site.ask(f"verb=ListRecords&{LIST}&set=ivo_managed"))
    core = read(site.ask("verb=ListRecords&metadataPrefix=oai_dc"))
    headers = read(site.ask(f"verb=ListIdentifiers&{LIST}"))

    def identifiers(root: etree._Element) -> list[str]:
        return [str(e.text) for e in root.iterfind(".//o:header/o:identifier", NS)]

    assert identifiers(full) == identifiers(core) == identifiers(headers)
    keys = {name.removeprefix("ivo://org.example.uwsd").strip("/") for name in identifiers(full)}
    assert keys == {"", "registry", "organisation", "std/execute-this", "platform", "demo", "sed"}
    for record in full.iterfind(".//o:record", NS):
        header = record.findtext("o:header/o:identifier", namespaces=NS)
        assert header == record.findtext("o:metadata/ri:Resource/identifier", namespaces=NS)
        assert record.findtext("o:header/o:setSpec", namespaces=NS) == "ivo_managed"
    assert full.find(".//o:resumptionToken", NS) is None


def test_identifiers_compare_in_any_case(site: Site) -> None:
    root = read(site.ask(f"verb=GetRecord&{LIST}&identifier=IVO://Org.Example.UWSD/Platform"))
    assert root.findtext(".//o:header/o:identifier", namespaces=NS) == PLATFORM


def test_records_carry_their_own_declarations(site: Site) -> None:
    """A harvester may cut a record out of its envelope as text."""
    text = site.ask(f"verb=GetRecord&{LIST}&identifier={PLATFORM}").text
    start, end = text.index("<ri:Resource"), text.index("</oai:metadata>")
    record = etree.fromstring(text[start:end])
    assert {"ri", "vr", "vs", "vg", "xsi"} <= record.nsmap.keys()
    validate(text[start:end].encode())


def test_nobody_is_kept_out_and_other_methods_are(site: Site) -> None:
    wrong = requests.get(f"{site.url}/oai?verb=Identify", auth=("a", "b"), timeout=60)
    assert codes(read(wrong)) == []
    assert requests.head(f"{site.url}/oai/?verb=Identify", timeout=60).status_code == 200
    refused = requests.delete(f"{site.url}/oai", timeout=60)
    assert refused.status_code == 405
    assert {"GET", "HEAD", "POST"} <= set(refused.headers["Allow"].split(", "))
