"""The service descriptor: validators find it clean, and pyvo runs jobs with it."""

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyvo
import requests
from astropy.io.votable import parse
from pyvo.dal.adhoc import DatalinkQuery, DatalinkResults

from tests.needs import need
from tests.serving import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
UWS = "ivo://ivoa.net/std/UWS#rest-1.1"
CONFIG = """[services.all]
title = '<b>"All" & more'
command = ["cat", "{workspace}/parameters.json"]
parameters.TEXT = { type = "string", description = "A <text> & more." }
parameters.RA = { type = "real", unit = "deg", ucd = "pos.eq.ra", range = [0, 360], required = true }
parameters.STEP = { type = "real", unit = "nm", default = 0.5 }
parameters.COUNT = { type = "integer", range = [-inf, 5], default = 2 }
parameters.FLAG = { type = "boolean", default = true }
parameters.CIRCLE = { type = "circle", unit = "deg", ucd = "obs.field" }
parameters.POINT = { type = "point", unit = "deg" }
parameters.POLYGON = { type = "polygon", unit = "deg" }
parameters.BAND = { type = "interval", unit = "nm", default = "-Inf 5" }
parameters.EPOCH = { type = "timestamp" }
parameters.KIND = { type = "enum", values = ["a", "b&c"], default = "b&c" }
parameters.FILE = { type = "file" }
parameters.LIST = { type = "integer", repeatable = true }
"""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a parameter of every type."""
    folder = tmp_path_factory.mktemp("all")
    (folder / "uwsd.toml").write_text(CONFIG)
    server = Server(folder / "data", folder / "uwsd.toml").start()
    yield server
    server.stop()


@pytest.mark.filterwarnings("ignore:The unit 'G' has been deprecated")
@pytest.mark.parametrize("service", ["demo", "checksum", "sed"])
def test_validators_find_nothing(server: Server, service: str, tmp_path: Path) -> None:
    url = f"{server.url}/{service}/descriptor"
    answer = requests.get(url, timeout=60)
    assert answer.headers["Content-Type"] == "application/x-votable+xml;content=datalink"
    parse(io.BytesIO(answer.content), verify="exception")
    page = requests.get(f"{server.url}/{service}", headers=BROWSER, timeout=60).text
    assert (
        f'<link rel="service-desc" type="application/x-votable+xml;content=datalink" href="{url}">'
        in page
    )
    need("stilts", "apt-get install stilts")
    assert lint(answer.content, tmp_path) == []
    command = ["stilts", "datalinklint", f"votable={url}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Errors: 0; Warnings: 0;" in said, said


def lint(votable: bytes, folder: Path) -> list[str]:
    """Return what votlint has to say, but where it is."""
    (folder / "descriptor.vot").write_bytes(votable)
    command = ["stilts", "votlint", "ucd=true", "unit=true", f"votable={folder}/descriptor.vot"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.partition("): ")[2] for line in (done.stdout + done.stderr).splitlines()]


def test_every_declaration_is_in_it(everything: Server, tmp_path: Path) -> None:
    document = requests.get(f"{everything.url}/all/descriptor", timeout=60).content
    need("stilts", "apt-get install stilts")
    # As pyvo needs it: see the comment in the code.
    assert set(lint(document, tmp_path)) == {
        'arraysize="1" deprecated since VOTable 1.3 Erratum #3'
    }
    results = DatalinkResults(parse(io.BytesIO(document)))
    assert [(row.service_def, row.semantics) for row in results.iter_procs()] == [
        ("sync", "#proc"),
        ("async", "#proc"),
    ]
    service = results.get_adhocservice_by_id("async")
    given = {p.name: p for p in service.groups[0].entries}
    assert list(given)[-2:] == ["RUNID", "PHASE"]
    assert given["TEXT"].description == "A <text> & more."
    ra = given["RA"]
    assert (ra.unit.to_string(), ra.ucd, ra.values.min, ra.values.max) == (
        "deg",
        "pos.eq.ra",
        0,
        360,
    )
    assert ra.description == "Required."
    assert (given["COUNT"].value, given["COUNT"].values.max, given["COUNT"].values.min) == (
        2,
        5,
        None,
    )
    assert (given["CIRCLE"].xtype, given["CIRCLE"].arraysize) == ("circle", "3")
    assert [value for _, value in given["KIND"].values.options] == ["a", "b&c"]
    assert (given["FILE"].ucd, given["FILE"].datatype) == ("meta.ref.url", "char")
    assert given["FILE"].description == "Takes a file, or the URL of one."
    assert given["LIST"].description == "May be given more than once."


def test_pyvo_runs_a_job_with_it(everything: Server) -> None:
    results = DatalinkResults.from_result_url(f"{everything.url}/all/descriptor")
    service = results.get_adhocservice_by_ivoid(UWS)
    query = DatalinkQuery.from_resource(
        results[1], service, RA=10.5, CIRCLE=(1, 2, 0.5), EPOCH="2026-11-24", RUNID="mine"
    )
    job = pyvo.dal.AsyncTAPJob(query.submit(post=True).url)
    job.run().wait(timeout=60)
    job.raise_if_error()
    (answer,) = (r for r in job.results if r.id_ == "stdout")
    assert requests.get(answer.href, timeout=60).json() == {
        "RA": 10.5,
        "STEP": 0.5,
        "COUNT": 2,
        "FLAG": True,
        "CIRCLE": [1, 2, 0.5],
        "BAND": [None, 5],
        "EPOCH": "2026-11-24T00:00:00.000",
        "KIND": "b&c",
    }
    job.delete()


def test_there_is_none_of_what_is_not_there(server: Server) -> None:
    assert requests.get(f"{server.url}/none/descriptor", timeout=60).status_code == 404
    assert requests.post(f"{server.url}/demo/descriptor", timeout=60).status_code == 405
