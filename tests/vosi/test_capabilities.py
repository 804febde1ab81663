"""What the platform says of itself, as VOSI 1.1 has it, and as clients read it."""

from dataclasses import replace
from pathlib import Path

import pytest
import pyvo
import requests
from lxml import etree

from tests.schemas.test_agreement import official
from tests.serving import Server
from uwsd.capabilities.parameters import RUN, RUNID
from uwsd.config import load
from uwsd.schemas import validate
from uwsd.site import capabilities
from uwsd.vosi.documents import Interface, capabilities_document

SERVICES = ("demo", "checksum", "sed")
UWS = "ivo://ivoa.net/std/UWS#rest-1.1"
TYPES = {
    "string": ("string", None),
    "integer": ("integer", None),
    "real": ("real", None),
    "boolean": ("boolean", None),
    "timestamp": ("string", None),
    "file": ("string", None),
    "interval": ("real", "2"),
    "point": ("real", "2"),
    "circle": ("real", "3"),
    "polygon": ("real", "*"),
}


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
    expected: set[tuple[str | None, str, str | None]] = {
        ("ivo://ivoa.net/std/VOSI#capabilities", url, "std"),
        ("ivo://ivoa.net/std/VOSI#availability", f"{server.url}{path}/availability", "std"),
        (None, f"{server.url}{path or '/'}", None),
        *((UWS, f"{server.url}/{name}/async", "std") for name in lists),
    }
    if path:
        expected |= {
            (None, f"{server.url}{path}/sync", None),
            ("ivo://ivoa.net/std/DALI#examples", f"{server.url}{path}/examples", "std"),
        }
    assert found == expected
    assert "Last-Modified" in requests.head(url, timeout=60).headers
    allowed = requests.post(url, timeout=60).headers["Allow"]
    assert set(allowed.split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("catalog", ["rec", "rofr"])
def test_every_parameter_is_described(tmp_path: Path, catalog: str) -> None:
    declared = [
        f'{name} = {{ type = "{name}", ucd = "meta", description = "a  <b>\\n &" }}'
        for name in TYPES
    ]
    text = (
        f"[services.all]\ncommand = ['true']\n[services.all.parameters]\n{chr(10).join(declared)}"
    )
    (tmp_path / "uwsd.toml").write_text(
        text + "\nNEEDED = { required = true, unit = 'deg' }\n"
        "CHOICE = { type = 'enum', values = ['a'], repeatable = true }\n"
    )
    capability = capabilities(load(tmp_path / "uwsd.toml", {}))["all"]
    interface = Interface(
        url="http://127.0.0.1/all/async",
        use="base",
        standard_id=UWS,
        description="a <b> &",
        method="POST",
        parameters=capability.parameters,
        standard_parameters=(RUNID, RUN),
    )
    document = capabilities_document([interface, replace(interface, standard_id=None)])
    validate(document)
    params = {p.findtext("name"): p for p in etree.fromstring(document).iterfind("*//param")}
    for name, expected in TYPES.items():
        kind = params[name].find("dataType")
        assert kind is not None
        assert (kind.text, kind.get("arraysize")) == expected
    assert [c.tag for c in params["NEEDED"]] == ["name", "unit", "dataType"]
    assert (params["NEEDED"].get("use"), params["NEEDED"].get("std")) == ("required", "false")
    assert (params["PHASE"].get("use"), params["PHASE"].get("std")) == ("optional", "true")
    schema = official(catalog)
    assert schema.validate(etree.fromstring(document)), schema.error_log


@pytest.mark.filterwarnings("ignore::pyvo.utils.xml.exceptions.UnknownElementWarning")
def test_pyvo_reads_them(server: Server) -> None:
    # pyvo 1.9.1 does not know VODataService's param and what is in it: it warns, and reads on.
    capabilities = pyvo.dal.TAPService(f"{server.url}/demo").capabilities
    assert [c.standardid for c in capabilities][2] == "ivo://ivoa.net/std/UWS#rest-1.1"


def test_there_are_none_of_what_is_not_there(server: Server) -> None:
    assert requests.get(f"{server.url}/none/capabilities", timeout=60).status_code == 404
