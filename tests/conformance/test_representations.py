"""How resources are represented (UWS 2.2.2, appendix B)."""

import pytest
from lxml import etree

from tests.conformance.asking import Service, children, document, get, said
from tests.serving import finished
from uwsd.schemas import validate
from uwsd.uws.documents import UWS

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "text/xml"),
        ("*/*", "text/xml"),
        ("application/xml,text/plain", "application/xml"),
        ("application/xml", "application/xml"),
        ("text/xml", "text/xml"),
        ("text/xml;q=0.5, application/xml", "application/xml"),
        ("text/html;q=0.5,application/xml", "application/xml"),
        ("application/xml,application/xhtml+xml;q=0.9", "application/xml"),
        ("application/xhtml+xml,application/xml", "application/xml"),
        ("application/xhtml+xml,*/*", "text/xml"),
        ("application/xhtml+xml;q=0,*/*", "text/xml"),
        ("text/html, image/gif, image/jpeg, */*; q=0.2", "text/xml"),  # Java 17
        ("text/plain", "text/xml"),  # astroquery
        ("image/png", "text/xml"),  # never 406
        ("nonsense;;q=x,,", "text/xml"),
        (BROWSER, "text/html"),
        ("application/xhtml+xml", "text/html"),
    ],
)
def test_xml_wins_unless_a_page_is_liked_better(
    service: Service, accept: str | None, media_type: str
) -> None:
    """UWS 2.2.2: HTML only if the client ranks it above XML."""
    for url in (service.joblist, service.pending()):
        answer = get(url, headers={"Accept": accept})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == f"{media_type}; charset=utf-8"
        assert "Accept" in answer.headers["Vary"]
        assert answer.headers["Cache-Control"] == "private, no-store"


def test_containers_are_xml_and_leaves_bare_text(service: Service) -> None:
    """UWS 2.2.2; clients compare the body of a leaf with the value, without stripping."""
    job = service.pending()
    roots = {service.joblist: "jobs", job: "job"}
    roots |= {f"{job}/results": "results", f"{job}/parameters": "parameters"}
    for headers in ({}, {"Accept": "application/xml,text/plain"}):
        for url, name in roots.items():
            answer = get(url, headers=headers)
            validate(answer.content)
            root = etree.fromstring(answer.content)
            assert root.tag == f"{{{UWS}}}{name}"
            # Appendix B has the attribute for two of them only.
            assert root.get("version") == ("1.1" if name in ("job", "jobs") else None)
            assert root.nsmap.keys() >= {"uws", "xlink", "xsi"}
        for leaf in ("phase", "executionduration", "destruction", "quote", "owner"):
            answer = get(f"{job}/{leaf}", headers=headers)
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.text == answer.text.strip()
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_leaves_and_containers_say_what_the_job_says(service: Service) -> None:
    """UWS 2.1.2: one truth in all representations."""
    for job in (service.pending(RUNID="x"), service.started(), service.failed()):
        if said(document(job), "runId") is None:
            finished(job)
        root = document(job)
        leaves = {
            "phase": said(root, "phase"),
            "executionduration": said(root, "executionDuration"),
            "destruction": said(root, "destruction"),
            "quote": said(root, "quote"),
            "owner": said(root, "ownerId"),
        }
        assert {leaf: get(f"{job}/{leaf}").text for leaf in leaves} == leaves
        for container in ("results", "parameters"):
            (inside,) = children(root, container)
            alone = document(f"{job}/{container}")
            assert [(c.attrib, c.text) for c in alone] == [(c.attrib, c.text) for c in inside]


def test_no_text_is_padded(service: Service) -> None:
    """Appendix B: xs:string keeps white space, so nothing may be laid out."""
    job = service.pending(RUNID="mine")
    for root in (document(job), document(f"{service.joblist}?LAST=1")):
        for element in root.iter():
            if not len(element) and element.text:
                assert element.text == element.text.strip()
