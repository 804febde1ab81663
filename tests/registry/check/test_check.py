"""``uwsd registry check`` on our own registry, and on ones with one fault each."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from tests.registry.conftest import Site
from uwsd.registry.check import Finding, Unreachable, check
from uwsd.registry.check.findings import Level


@contextmanager
def spoiled(site: Site, old: str, new: str) -> Iterator[str]:
    """Serve what the site's registry says, with every ``old`` replaced; give the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = site.ask(self.path.partition("?")[2])
            own = f"http://{self.headers['Host']}/oai"
            text = re.sub(old, new, answer.text.replace(f"{site.url}/oai", own))
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/oai"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bad(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {f.what: f for f in findings if f.level is not Level.PASS}


def test_our_own_registry_passes_everything(site: Site) -> None:
    findings = list(check(f"{site.url}/oai"))
    assert [f for f in findings if f.level is not Level.PASS] == []
    assert len(findings) > 50


@pytest.mark.parametrize(
    ("old", "new", "what", "found"),
    [
        ("<oai:baseURL>", "<oai:baseURL>x", "baseURL is the URL", "xhttp"),
        ('xsi:type="vg:Registry"', 'xsi:type="vr:Service"', "Identify holds", "vr:Service"),
        ('xsi:type="vg:Harvest"', 'xsi:type="vr:Capability"', "vg:Harvest with", "there is none"),
        ('OAIHTTP" version="1.0"', 'OAIHTTP" version="1.1"', "version of that", "1.1"),
        (">ivo_vor<", ">ivo_vox<", "ListMetadataFormats has ivo_vor", "only"),
        ("<oai:setSpec>ivo_managed", "<oai:setSpec>mine", "ListSets has ivo_managed", "only mine"),
        ("<oai:setSpec>ivo_managed", "<oai:setSpec>ivo_mine", "no other set", "ivo_mine"),
        ("<managedAuthority>org", "<managedAuthority>net", "authority of each record", "org"),
        ("<managedAuthority>org", "<managedAuthority>net", "each managed authority", "net"),
        (
            "<oai:identifier>ivo://org.example.uwsd/registry<",
            "<oai:identifier>ivo://org.example.uwsd/else<",
            "registry's record is in the list",
            "ivo://org.example.uwsd/registry",
        ),
        ("<oai:identifier>ivo://org", "<oai:identifier>ivo://ORG", "one identifier", "the record"),
        ('created="[^"]*"', "", "every document is valid", "created"),
        ('updated="[^"]*"', 'updated="2999-01-01T00:00:00Z"', "lie in the past", "future"),
        ("VOSI#availability", "VOSI#tables", "VOSI capabilities", "no availability"),
        ("vs:ParamHTTP", "xx:ParamHTTP", "canonical", "prefix xx"),
        ('use="full">http', 'use="full"> http', "without blanks", "' http"),
        ("<subject>", "<subject>The ", "Astronomy Thesaurus", "'The "),
        ("<oai:request[^>]*>", "<oai:request>", "", ""),
        ('code="badVerb"', 'code="badArgument"', "IllegalVerb", "badArgument instead of badVerb"),
        ('code="badArgument"', 'code="noRecordsMatch"', "verb=ListRecords", "instead of"),
        ("T[0-9:]*Z</oai:earliest", "</oai:earliest", "earliestDatestamp", "YYYY"),
        ('encoding="UTF-8"', 'encoding="ISO-8859-1"', "verb=Identify", "encoding"),
    ],
)
def test_a_fault_is_found_and_named(site: Site, old: str, new: str, what: str, found: str) -> None:
    with spoiled(site, old, new) as url:
        findings = bad(check(url))
    if not what:
        assert findings == {}
        return
    named = [f for name, f in findings.items() if what in name]
    assert named, findings
    assert found in named[0].found
    assert named[0].fix


def test_what_is_no_registry_is_said_in_a_sentence(site: Site) -> None:
    for url in (site.url, f"{site.url}/nothing", "http://127.0.0.1:9/oai"):
        with pytest.raises(Unreachable, match=r"no OAI-PMH endpoint|does not answer"):
            list(check(url))
    assert requests.get(site.url, timeout=60).ok
