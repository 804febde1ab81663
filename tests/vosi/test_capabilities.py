"""What the platform says of itself, as VOSI 1.1 has it, and as clients read it."""

import pytest
import pyvo
import requests
from lxml import etree

from tests.serving import Server
from uwsd.schemas import validate

SERVICES = ("demo", "checksum", "sed")


@pytest.mark.parametrize(("path", "lists"), [("", SERVICES), *((f"/{s}", (s,)) for s in SERVICES)])
def test_every_job_list_is_named(server: Server, path: str, lists: tuple[str, ...]) -> None:
    url = f"{server.url}{path}/capabilities"
    answer = requests.get(url, timeout=60)
    validate(answer.content)
    root = etree.fromstring(answer.content)
    found = {
        (c.get("standardID"), i.findtext("accessURL"), i.get("role"))
        for c in root.iterfind("capability")
        for i in c.iterfind("interface")
    }
    uws = "ivo://ivoa.net/std/UWS#rest-1.1"
    assert found == {
        ("ivo://ivoa.net/std/VOSI#capabilities", url, "std"),
        *((uws, f"{server.url}/{name}/async", "std") for name in lists),
    }
    assert "Last-Modified" in requests.head(url, timeout=60).headers
    allowed = requests.post(url, timeout=60).headers["Allow"]
    assert set(allowed.split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_pyvo_reads_them(server: Server) -> None:
    capabilities = pyvo.dal.TAPService(f"{server.url}/demo").capabilities
    assert [c.standardid for c in capabilities][1] == "ivo://ivoa.net/std/UWS#rest-1.1"


def test_there_are_none_of_what_is_not_there(server: Server) -> None:
    assert requests.get(f"{server.url}/none/capabilities", timeout=60).status_code == 404
