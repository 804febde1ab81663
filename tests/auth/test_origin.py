"""Requests that a page of another site makes a browser send (cross-site request forgery)."""

from collections.abc import Mapping

import pytest
import requests
from flask import Flask, Response, g
from werkzeug.test import Client

from tests.auth.conftest import Site, proxied, session
from tests.serving import Server
from uwsd.auth.authenticators import Authentication
from uwsd.auth.identity import add_identity
from uwsd.auth.origin import origin_of
from uwsd.uws.access import Caller, Proof
from uwsd.uws.errors import UwsError

OURS = "ours"
PASS, STOP = True, False

HEADERS = [
    ({}, PASS),
    ({"Origin": OURS}, PASS),
    ({"Origin": "https://evil.example.org"}, STOP),
    ({"Origin": "null"}, STOP),
    ({"Origin": ""}, STOP),
    ({"Origin": f"{OURS}/"}, STOP),
    ({"Origin": f"{OURS}0"}, STOP),
    ({"Origin": "http://127.0.0.1"}, STOP),
    ({"Origin": OURS, "Sec-Fetch-Site": "same-origin"}, PASS),
    ({"Origin": OURS, "Sec-Fetch-Site": "cross-site"}, PASS),
    ({"Origin": "https://evil.example.org", "Sec-Fetch-Site": "same-origin"}, STOP),
    ({"Sec-Fetch-Site": "same-origin"}, PASS),
    ({"Sec-Fetch-Site": "none"}, PASS),
    ({"Sec-Fetch-Site": "cross-site"}, STOP),
    ({"Sec-Fetch-Site": "Cross-Site"}, STOP),
    ({"Sec-Fetch-Site": "same-site"}, STOP),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, STOP),
    ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, PASS),
]


def filled(headers: Mapping[str, str], url: str) -> dict[str, str]:
    return {name: value.replace(OURS, url) for name, value in headers.items()}


@pytest.mark.parametrize(("headers", "passes"), HEADERS, ids=str)
def test_a_foreign_page_cannot_use_what_a_browser_adds(
    site: Site, headers: dict[str, str], passes: bool
) -> None:
    url, sent = f"{site.url}/open/async", filled(headers, site.url)
    job = session().post(url, allow_redirects=False, timeout=60).headers["Location"]
    for by in (session("alice"), proxied("alice")):
        unsafe = (("POST", url), ("POST", f"{job}/phase"), ("PUT", f"{job}/parameters/FILE"))
        for method, target in unsafe:
            answer = by.request(method, target, headers=sent, allow_redirects=False, timeout=60)
            assert (answer.status_code != 403) is passes, answer.text
            assert passes or "a page of another site has sent this" in answer.text
            assert "WWW-Authenticate" not in answer.headers
        assert by.get(job, headers=sent, timeout=60).ok, "reading changes nothing"
    nobody = session().post(url, headers=sent, allow_redirects=False, timeout=60)
    assert nobody.status_code == 303, "nobody's rights are everybody's, on every page"


@pytest.mark.parametrize(("headers", "passes"), HEADERS, ids=str)
def test_to_be_at_a_desk_is_a_credential_that_browsers_have(
    server: Server, demo: str, headers: dict[str, str], passes: bool
) -> None:
    sent = filled(headers, server.url)
    answer = requests.post(demo, headers=sent, allow_redirects=False, timeout=60)
    assert answer.status_code == (303 if passes else 403), answer.text


class Always:
    """Somebody whose proof is of one kind."""

    challenge = security_method = None

    def __init__(self, proof: Proof) -> None:
        self.proof = proof

    def changed(self) -> float:
        return 0.0

    def authenticate(self, _request: object) -> Caller:
        return Caller(name="alice", proof=self.proof)


@pytest.mark.parametrize("proof", list(Proof))
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_get_of_sync_acts_and_a_token_is_no_browser_s(proof: Proof, method: str) -> None:
    app = Flask("test")
    add_identity(app, Authentication([Always(proof)]), is_desk=False)
    app.register_error_handler(UwsError, lambda e: Response(str(e), e.status))
    for path in ("/<service>/sync", "/<service>/async"):
        methods = ["GET", "POST", "DELETE"]
        app.add_url_rule(path, path, lambda **_: g.caller.name, methods=methods)
    environ = {"uwsd.base_url": "https://jobs.example.org/uwsd"}
    sent = {"Sec-Fetch-Site": "cross-site"}
    for path, acts in (("/a/sync", True), ("/a/async", method in ("POST", "DELETE"))):
        answer = Client(app).open(path, method=method, headers=sent, environ_overrides=environ)
        stopped = acts and proof is not Proof.TOKEN
        assert answer.status_code == (403 if stopped else 200)
        assert answer.headers["X-VO-Authenticated"] == "alice"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Jobs.Example.org/uwsd", "https://jobs.example.org"),
        ("https://jobs.example.org:443/", "https://jobs.example.org"),
        ("http://jobs.example.org:443", "http://jobs.example.org:443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/x", "http://[::1]:8080"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_origins_are_written_as_browsers_write_them(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_forms_of_our_own_pages_tell_where_they_come_from(site: Site) -> None:
    # With no-referrer a browser writes "Origin: null" (Fetch, append a request Origin header).
    browser = {"Accept": "text/html,application/xhtml+xml"}
    for path in ("/", "/open", "/open/async"):
        page = session("alice").get(site.url + path, headers=browser, timeout=60)
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert '<span class="user">alice</span>' in page.text
    nobody = session().get(site.url, headers=browser, timeout=60)
    assert f'href="{site.url}/login">log in</a>' in nobody.text
