"""Every UWS document, with every optional field on and off, is valid by the schema."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from uwsd.schemas import validate
from uwsd.uws.documents import (
    UWS,
    XLINK,
    job_document,
    jobs_document,
    parameters_document,
    results_document,
)
from uwsd.uws.job import ErrorSummary, ErrorType, Job, JobRef, Parameter, Result, Source
from uwsd.uws.phase import Phase

URL = "http://127.0.0.1:8080/demo/async"
AT = datetime(2026, 11, 24, 3, 58, 0, 123000, UTC)
JOB = Job(id="7b6f4a52-3c1e-4a52-9c1e-0123456789ab", service="demo", created=AT)
JOB_URL = f"{URL}/{JOB.id}"
NASTY = "<&>\"' \t\n\r ]]> é 𝔘 \u202e"
PARAMETERS = (
    Parameter(name="TEXT", value=NASTY),
    Parameter(name="BELL", value="\x07\x00"),
    Parameter(name="FILE", value="../x", source=Source.STORED, path="inputs/FILE-1", size=3),
    Parameter(name="URL", value="https://example.org/a?b&c", source=Source.REMOTE),
    Parameter(name=NASTY, value=""),
)
RESULTS = (
    Result(id="result", path="outputs/a", media_type="text/plain", size=3),
    Result(id="b/c d", path="outputs/b", media_type="image/png"),
)
OPTIONAL = {
    "owner": NASTY,
    "run_id": NASTY,
    "quote": AT,
    "started": AT,
    "ended": AT,
    "destruction": AT,
    "parameters": PARAMETERS,
    "results": RESULTS,
    "error": ErrorSummary(message=NASTY + "\x00", type=ErrorType.TRANSIENT),
    "info": {"message": NASTY + "\x1b", "ignored": "A, B"},
}


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("duration", [0, 2**31 - 1])
def test_a_job_is_valid_in_every_phase_with_each_field_on_and_off(
    phase: Phase, duration: int
) -> None:
    for on in itertools.product([True, False], repeat=len(OPTIONAL)):
        given_fields = {n: v for (n, v), o in zip(OPTIONAL.items(), on, strict=True) if o}
        job = replace(JOB, phase=phase, duration=duration, **given_fields)  # type: ignore[arg-type]
        validate(job_document(job, JOB_URL))


@pytest.mark.parametrize("write", [results_document, parameters_document])
@pytest.mark.parametrize("job", [JOB, replace(JOB, parameters=PARAMETERS, results=RESULTS)])
def test_the_containers_are_valid_and_have_no_version(write, job: Job) -> None:  # type: ignore[no-untyped-def]
    document = write(job, JOB_URL)
    validate(document)
    assert "version" not in etree.fromstring(document).attrib


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000])
def test_a_list_of_any_length_is_valid_and_complete(count: int) -> None:
    refs = [
        JobRef(
            id=f"{n}",
            phase=Phase.ERROR,
            run_id=NASTY if n % 2 else None,
            owner=NASTY if n % 3 else None,
            created=AT,
        )
        for n in range(count)
    ]
    document = b"".join(jobs_document(refs, URL))
    validate(document)
    root = etree.fromstring(document)
    assert root.get("version") == "1.1"
    assert [ref.get("id") for ref in root] == [ref.id for ref in refs]
    assert all(ref.get(f"{{{XLINK}}}href") == f"{URL}/{ref.get('id')}" for ref in root)
    assert [ref.findtext(f"{{{UWS}}}runId") for ref in root] == [ref.run_id for ref in refs]


def test_prefixes_are_literal_and_declared_on_the_root() -> None:
    document = job_document(replace(JOB, results=RESULTS), JOB_URL)
    assert etree.fromstring(document).nsmap.keys() == {"uws", "xlink", "xsi"}
    assert b"<uws:jobId>" in document
    assert b'xlink:href="http://' in document
    assert b'<uws:ownerId xsi:nil="true"/>' in document


def test_what_xml_cannot_hold_is_given_by_reference() -> None:
    root = etree.fromstring(job_document(replace(JOB, parameters=PARAMETERS), JOB_URL))
    values = {p.get("id"): (p.text, p.get("byReference")) for p in root.iter(f"{{{UWS}}}parameter")}
    assert values["TEXT"] == (NASTY, None)
    assert values["BELL"] == (f"{JOB_URL}/parameters/BELL", "true")
    assert values["FILE"] == (f"{JOB_URL}/parameters/FILE", "true")
    assert values["URL"] == ("https://example.org/a?b&c", "true")


@given(st.text())
def test_any_text_makes_a_valid_document(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    job = replace(JOB, parameters=(Parameter(name="T", value=text),), info={"message": text})
    validate(job_document(job, JOB_URL))
