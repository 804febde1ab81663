"""STILTS, whose job classes TOPCAT has too, and `taplint`, the strictest public check of a job list."""

import json
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.needs import need
from tests.serving import Server, finished

Done = subprocess.CompletedProcess[str]

QUERY = 'any text, "even" <this> ü'
ROWS = ["n,query"] + [f'{n},"any text, ""even"" <this> ü"' for n in range(3)]
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
VOSI = "{http://www.ivoa.net/xml/VOSICapabilities/v1.0}"

# The namespace of uwsd's elements in jobInfo, which taplint has no schema of.
FOREIGN = "Schema from unknown namespace during validation: urn:uwsd:jobinfo:1"


def stilts(*arguments: str) -> Done:
    program = need("stilts", "apt-get install stilts")
    return subprocess.run(
        (program, *arguments), capture_output=True, encoding="utf-8", check=False, timeout=100
    )


def at_once(commands: Iterable[tuple[str, ...]]) -> list[Done]:
    """Run several, two at a time: it is the start of Java that takes the time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda command: stilts(*command), commands))


def findings(done: Done) -> set[tuple[str, str, str]]:
    """Return what a run of taplint has found to be wrong."""
    assert done.returncode == 0, done.stderr
    return {
        (report["level"], report["code"], report["text"])
        for section in json.loads(done.stdout)["sections"]
        for report in section["reports"]
        if report["level"] in ("ERROR", "WARNING", "FAILURE")
    }


@pytest.mark.both_databases
def test_taplint_finds_no_error_in_a_job_list(server: Server, tap: str) -> None:
    lists = [
        f"{server.url}/{path}" for path in ("demo/async", "checksum/async?FILE=a", "sed/async")
    ]
    command = "taplint", "tapurl=http://localhost/none", "interface=tap1.1", "stages=UWS"
    runs = at_once((*command, f"asyncurl={url}", "format=json") for url in [*lists, f"{tap}/async"])
    assert [findings(done) for done in runs] == [{("WARNING", "UNSC", FOREIGN)}] * 4


def test_taplint_finds_no_error_in_capabilities(server: Server) -> None:
    (done,) = at_once([("taplint", f"tapurl={server.url}/demo", "stages=CPV CAP", "format=json")])
    assert {code for _, code, _ in findings(done)} == {"CAP0", "CPT1"}, (
        "it is not TAP, and that is all"
    )


def test_every_document_is_valid(site: str, phases: dict[str, str]) -> None:
    done, joblist = phases["COMPLETED"], f"{site}/narrow/async"
    documents = [
        *((url, f"{UWS}job") for url in phases.values()),
        (joblist, f"{UWS}jobs"),
        (f"{joblist}?PHASE=UNKNOWN", f"{UWS}jobs"),
        (f"{done}/parameters", f"{UWS}parameters"),
        (f"{done}/results", f"{UWS}results"),
        (f"{phases['PENDING']}/results", f"{UWS}results"),
        (f"{site}/capabilities", f"{VOSI}capabilities"),
        (f"{site}/table/capabilities", f"{VOSI}capabilities"),
    ]
    command = "xsdvalidate", "uselocals=true"
    runs = at_once((*command, f"topel={root}", f"doc={url}") for url, root in documents)
    assert {
        url: run.stderr for (url, _), run in zip(documents, runs, strict=True) if run.returncode
    } == {}


@pytest.mark.both_databases
def test_queries(tap: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    table = tmp_path_factory.mktemp("stilts") / "t.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    query = (
        "tapquery",
        f"tapurl={tap}",
        f"asyncurl={tap}/async",
        "sync=false",
        "parse=false",
        "ofmt=csv",
    )
    limits = "destruction=2031-01-01T00:00:00Z", "executionduration=33"
    upload = "nupload=1", f"upload1={table}", "ufmt1=csv", "upname1=up1"
    kept, deleted, uploaded, failed = at_once(
        [
            (*query, f"adql={QUERY}", *limits, "progress=true", "delete=never"),
            (*query, f"adql={QUERY}", "progress=true"),
            (*query, "adql=x", *upload),
            (*query, "adql=nope"),
        ]
    )
    assert kept.stdout.splitlines() == deleted.stdout.splitlines() == ROWS
    job = told_job(kept)
    assert requests.get(f"{job}/executionduration", timeout=60).text == "33"
    assert requests.get(f"{job}/phase", timeout=60).text == "COMPLETED"
    assert requests.get(told_job(deleted), timeout=60).status_code == 404
    assert uploaded.stdout == table.read_text()
    assert failed.returncode == 1
    assert "exit status 1" in failed.stderr, failed.stderr


def told_job(done: Done) -> str:
    return next(line for line in done.stderr.splitlines() if line.startswith("http"))


def test_jobs_of_others_are_resumed(tap: str) -> None:
    form = {"QUERY": QUERY}
    running = {**form, "SECONDS": "4", "PHASE": "RUN"}
    pending, over, executing = (
        requests.post(f"{tap}/async", data=data, timeout=60).url
        for data in (form, {**form, "PHASE": "RUN"}, running)
    )
    assert finished(over) == "COMPLETED"
    command = "tapresume", "ofmt=csv"
    runs = at_once(
        [
            (*command, f"joburl={executing}", "delete=finished"),
            (*command, f"joburl={pending}", "delete=never"),
            (*command, f"joburl={over}", "delete=never"),
        ]
    )
    assert [done.stdout.splitlines() for done in runs] == [ROWS] * 3
    assert finished(pending) == "COMPLETED"
    assert requests.get(executing, timeout=60).status_code == 404
