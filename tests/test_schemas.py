"""The loader refuses what is wrong, says where, and reads nothing but our schemas."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.schemas.corpus import ROWS
from uwsd.schemas import LARGEST, DocumentError, explain, validate

RESOURCE = "<ri:Resource xmlns:ri='http://www.ivoa.net/xml/RegistryInterface/v1.0'"
UWS = "http://www.ivoa.net/xml/UWS/v1.0"
DOCUMENTS = {row.name: row.document.decode() for row in ROWS}
JOB, IDENTIFY = (
    DOCUMENTS["job: a phase nobody knows"],
    DOCUMENTS["Identify: an address on this machine"],
)
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def test_an_error_tells_the_line_the_element_and_the_reason() -> None:
    document = f'<a:jobs xmlns:a="{UWS}">\n<a:job/></a:jobs>'.encode()
    with pytest.raises(DocumentError, match=r"line 2: .*jobref") as caught:
        validate(document)
    assert (caught.value.line, caught.value.element) == (2, "/a:jobs/a:job")
    assert "This element is not expected" in caught.value.reason


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xfe", "Start tag expected"),
        (b"<a>", "Premature end"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "encoding"),
        (b"<a/>", "No matching global declaration"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>', "document type"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
    ],
)
def test_what_is_no_document_of_ours_is_refused(document: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        validate(document)


@pytest.mark.parametrize("kind", ["PUBLIC 'x'", "SYSTEM"])
def test_a_file_is_not_read_through_an_entity(kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("swordfish")
    entity = f"<!ENTITY secret {kind} '{(tmp_path / 'secret').as_uri()}'>"
    jobs = f"<jobs xmlns='{UWS}'>&secret;</jobs>"
    with pytest.raises(DocumentError, match="document type") as caught:
        validate(f"<!DOCTYPE jobs [{entity}]>{jobs}".encode())
    assert "swordfish" not in str(caught.value)


def test_entities_that_grow_without_end_are_refused() -> None:
    grown = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
    with pytest.raises(DocumentError, match=r"amplification|document type"):
        validate(f"<!DOCTYPE a [<!ENTITY e0 'ha'>{grown}]><a b='&e11;'/>".encode())


def test_no_address_in_a_document_is_followed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        located = f"xmlns:xsi='{XSI}' xsi:schemaLocation='{UWS} {address} urn:a {address}'"
        jobs = f"<jobs xmlns='{UWS}' {located}/>"
        validate(jobs.encode())
        node = f"<a xmlns='urn:a' {located}/>"  # of a namespace that any schema may be of
        assert explain(JOB.replace("<uws:jobInfo>", f"<uws:jobInfo>{node}").encode())
        with pytest.raises(DocumentError, match="document type"):
            validate(f"<!DOCTYPE jobs SYSTEM '{address}'>{jobs}".encode())
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    ("record", "element", "error"),
    [
        (
            "service: no contact",
            "/ri:Resource/curation",
            "line 7: curation is not complete; expected: "
            "curation with publisher, creator*, contributor*, date*, version?, contact+",
        ),
        (
            "platform: a contact with its e-mail first",
            "/ri:Resource/curation/contact/email",
            "line 5: email is out of place; expected: "
            "contact with name, address?, email?, telephone?, altIdentifier*",
        ),
        (
            "authority: of a name of two letters",
            "/ri:Resource/identifier",
            "line 3: identifier is 'ivo://ab'; expected: "
            "ivo://, an authority and, behind a slash, a key; no query, no fragment.",
        ),
        (
            "service: created as Python writes it",
            "/ri:Resource",
            "line 1: created is '2026-04-01T08:00:00+00:00'; expected: "
            "A moment such as 2026-04-01T08:00:00Z.",
        ),
        (
            "platform: DELETE",
            "/ri:Resource/capability[3]/interface[1]/queryType[2]",
            "line 12: queryType is 'DELETE'; expected: one of GET, POST",
        ),
        (
            "organisation: spelt as in America",
            "/ri:Resource",
            "line 1: xsi:type is 'vr:Organization'; expected: a type of a known schema",
        ),
        (
            "platform: of no status",
            "/ri:Resource",
            "line 1: ri:Resource: missing required attribute 'status'",
        ),
        (
            "platform: a securityMethod with the attribute in another case",
            "/ri:Resource/capability[3]/interface[2]/securityMethod",
            "line 13: securityMethod: 'standardId' attribute not allowed for element",
        ),
        (
            "service: a shortName of seventeen letters",
            "/ri:Resource/shortName",
            "line 4: shortName is '12345678901234567'; expected: "
            "value length cannot be greater than 16",
        ),
        (
            "service: a table of a negative length",
            "/ri:Resource/tableset/schema[1]/table[1]/nrows",
            "line 32: nrows is 'five'; expected: a value of xs:nonNegativeInteger",
        ),
        (  # xmlschema takes any text for a URI, libxml2 does not
            "standard: a schema at what is no address",
            "/ri:Resource/schema[2]/location",
            "line 9: Element 'location': "
            "'https://[/' is not a valid value of the atomic type 'xs:anyURI'.",
        ),
    ],
)
def test_a_record_is_refused_with_element_line_reason_and_what_is_expected(
    record: str, element: str, error: str
) -> None:
    (found,) = explain(DOCUMENTS[record].encode())
    assert (found.element, str(found)) == (element, error)


def test_several_mistakes_are_told_at_once_in_their_order() -> None:
    head = f"{RESOURCE} created='now' updated='2026-04-01' status='active'>\n<titel/>\n"
    found = explain(
        f"{head}<shortName>a</shortName><identifier>a</identifier></ri:Resource>".encode()
    )
    assert [(error.line, error.reason) for error in found] == [
        (1, "created is 'now'"),
        (1, "updated is '2026-04-01'"),
        (2, "titel is out of place"),
        (3, "identifier is 'a'"),
    ]


def test_what_is_explained_is_what_is_refused() -> None:
    for row in ROWS:
        found = explain(row.document)
        assert bool(found) is not row.is_accepted(), row.name
        assert all(error.element and error.reason for error in found), row.name


def test_nothing_slow_is_imported_for_a_document_that_is_right() -> None:
    document = f"<jobs xmlns='{UWS}'/>"
    said = f'import sys; from uwsd.schemas import explain; print(explain(b"{document}"))'
    run = f"{said}; print('xmlschema' in sys.modules)"
    answer = subprocess.check_output([sys.executable, "-c", run], text=True)
    assert answer.split() == ["[]", "False"]


MANY = " ".join(f"a{n}=''" for n in range(80_000))
FEW = " ".join(f"a{n}=''" for n in range(29))
LAUGHS = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
SCHEMAS = "".join(f"<schema><name>{n % 9000}</name></schema>" for n in range(20_000))
TYPED = f"{RESOURCE} xmlns:xsi='{XSI}' xmlns:vs='http://www.ivoa.net/xml/VODataService/v1.1'"
HARM = {
    "laughs": (
        f"<!DOCTYPE a [<!ENTITY e0 'ha'>{LAUGHS}]><a>&e11;</a>",
        "amplification|document type",
    ),
    "a file": ("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "document type"),
    "an address": ("<!DOCTYPE a SYSTEM 'http://127.0.0.1:9/a.dtd'><a/>", "document type"),
    "depth": (f"{RESOURCE}>{'<a>' * 100_000}", "depth"),
    "length": (f"<a>{'b' * 10_000_000}</a>", "more than 1048576 bytes"),
    "children": (f"{RESOURCE}>{'<x/>' * 200_000}</ri:Resource>", "not expected"),
    "fewer children": (f"{RESOURCE}>{'<x/>' * 4_900}</ri:Resource>", "out of place"),
    "attributes": (f"{RESOURCE} {MANY}/>", "not allowed"),
    "fewer attributes": (f"<jobs xmlns='{UWS}'>{f'<jobref {FEW}/>' * 160}</jobs>", "not allowed"),
    "schemas": (
        f"{TYPED} xsi:type='vs:CatalogService'><tableset>{SCHEMAS}</tableset></ri:Resource>",
        ".",
    ),
    "an attribute": (f"{RESOURCE} status='{'a' * 1_000_000}'/>", "status"),
    "an identifier": (
        f"{RESOURCE}><identifier>ivo://{'a/' * 500_000}</identifier></ri:Resource>",
        ".",
    ),
    "an e-mail": (IDENTIFY.replace("admin@localhost", "a@." * 300_000 + " "), "adminEmail"),
    "depth that may be": (JOB.replace("<name>n01</name>", "<a>" * 240 + "</a>" * 240), "RUNNING"),
}


@pytest.mark.timeout(20)  # each takes a second at most, where nobody else is busy
@pytest.mark.parametrize("kind", HARM)
def test_a_document_that_means_harm_is_refused_at_once(kind: str) -> None:
    document, reason = HARM[kind]
    found = explain(document.encode())
    assert 0 < len(found) <= 20
    assert any(re.search(reason, error.reason) for error in found)
    assert all(len(str(error)) < 1000 for error in found)


def test_a_document_may_be_as_long_as_it_says() -> None:
    jobs = f"<jobs xmlns='{UWS}'/>".encode()
    assert not explain(jobs + b" " * (LARGEST - len(jobs)))
    assert explain(jobs + b" " * (LARGEST - len(jobs) + 1))
