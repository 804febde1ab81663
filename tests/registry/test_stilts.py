"""STILTS reads what the site says of itself: another parser, other schemas, taplint's rules."""

from pathlib import Path

from tests.clients.test_stilts import at_once, findings
from tests.registry.conftest import Site
from tests.schemas.corpus import OURS, by_namespace
from uwsd.registry.oai.documents import OAI, RI


def test_taplint_finds_no_error_in_what_a_service_says_of_itself(site: Site) -> None:
    bases = [f"{site.url}{path}" for path in ("", "/demo", "/registry")]
    command = "taplint", "interface=tap1.1", "stages=CPV CAP AVV", "format=json"
    runs = at_once(
        (
            *command,
            f"tapurl={base}",
            f"capabilitiesurl={base}/capabilities",
            f"availabilityurl={base}/availability",
        )
        for base in bases
    )
    # That they are no TAP services is all there is to say.
    assert [{code for _, code, _ in findings(run)} for run in runs] == [{"CAP0", "CPT1"}] * 3


def test_a_validating_parser_takes_records_and_answers(site: Site, tmp_path: Path) -> None:
    text = site.ask(
        "verb=GetRecord&metadataPrefix=ivo_vor&identifier=ivo://org.example.uwsd/sed"
    ).text
    record = tmp_path / "record.xml"
    record.write_text(text[text.index("<ri:Resource") : text.index("</oai:metadata>")])
    documents = {
        str(record): f"{{{RI}}}Resource",
        **{
            f"{site.url}/oai?verb={verb}": f"{{{OAI}}}OAI-PMH"
            for verb in (
                "Identify",
                "ListRecords&metadataPrefix=ivo_vor",
                "ListRecords&metadataPrefix=oai_dc",
                "Nothing",
            )
        },
    }
    schemas = [f"schemaloc={name}={file.as_uri()}" for name, file in by_namespace(OURS).items()]
    command = "xsdvalidate", "uselocals=false", *schemas
    runs = at_once((*command, f"topel={root}", f"doc={url}") for url, root in documents.items())
    assert {
        url: run.stderr + run.stdout
        for url, run in zip(documents, runs, strict=True)
        if run.returncode
    } == {}
