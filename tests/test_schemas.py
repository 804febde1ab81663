"""The loader refuses what is wrong, says where, and reads nothing but our schemas."""

import socket
from pathlib import Path

import pytest

from uwsd.schemas import DocumentError, validate

UWS = "http://www.ivoa.net/xml/UWS/v1.0"
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
        located = f"xmlns:xsi='{XSI}' xsi:schemaLocation='{UWS} {address}'"
        jobs = f"<jobs xmlns='{UWS}' {located}/>"
        validate(jobs.encode())
        with pytest.raises(DocumentError, match="document type"):
            validate(f"<!DOCTYPE jobs SYSTEM '{address}'>{jobs}".encode())
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
