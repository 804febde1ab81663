"""Who may do what: one table; and that a stranger learns nothing but that there is a job."""

import base64
import http.client
from dataclasses import dataclass
from itertools import product
from urllib.parse import urlsplit

import pytest
import requests
from requests import Response, Session

from tests.auth.conftest import PASSWORDS, Site, proxied, session

CHALLENGE = 'Basic realm="uwsd", charset="UTF-8"'
MISSING = "00000000-0000-4000-8000-000000000000"
FORM = {"TEXT": "x"}

CALLERS = {
    "nobody": session(),
    "alice": session("alice"),
    "bob": session("bob"),
    "wrong": session("alice", "wrong"),
    "proxied alice": proxied("alice"),
}
NAMES = {"alice": "alice", "bob": "bob", "proxied alice": "alice"}

# request                          nobody alice  bob  wrong
MATRIX = """
GET    /closed/async                  200   200   200   401
GET    /closed/async?PHASE=PENDING    200   200   200   401
GET    /closed/async?PHASE=bad        400   400   400   401
POST   /closed/async                  401   303   303   401
POST   /closed/async?RUNID=%FF        401   400   400   401
GET    /open/async                    200   200   200   401
POST   /open/async                    303   303   303   401
GET    {hers}                         401   200   403   401
HEAD   {hers}                         401   200   403   401
GET    {hers}?WAIT=1                  401   200   403   401
GET    {hers}?WAIT=bad                401   400   403   401
POST   {hers}                         401   400   403   401
PUT    {hers}                         401   405   403   401
PATCH  {hers}                         401   405   403   401
OPTIONS {hers}                        401   200   403   401
GET    {hers}/phase                   401   200   403   401
POST   {hers}/phase                   401   400   403   401
GET    {hers}/executionduration       401   200   403   401
POST   {hers}/executionduration       401   400   403   401
GET    {hers}/destruction             401   200   403   401
POST   {hers}/destruction             401   400   403   401
GET    {hers}/quote                   401   200   403   401
POST   {hers}/quote                   401   405   403   401
GET    {hers}/owner                   401   200   403   401
GET    {hers}/error                   401   404   403   401
GET    {hers}/results                 401   200   403   401
DELETE {hers}/results                 401   405   403   401
GET    {hers}/results/none            401   404   403   401
GET    {hers}/parameters              401   200   403   401
POST   {hers}/parameters              401   303   403   401
GET    {hers}/parameters/TEXT         401   200   403   401
PUT    {hers}/parameters/TEXT         401   303   403   401
GET    {hers}/nosuch                  401   404   403   401
GET    {hers}/no/such                 401   404   403   401
GET    {nobodys}                      200   200   200   401
GET    {nobodys}/phase                200   200   200   401
GET    {nobodys}/owner                200   200   200   401
POST   {nobodys}/parameters           303   303   303   401
GET    {nobodys}/nosuch               404   404   404   401
GET    /closed/async/{missing}        404   404   404   401
GET    /closed/async/{missing}/nosuch 404   404   404   401
DELETE /closed/async/{missing}        404   404   404   401
GET    /open/async/{her_id}           404   404   404   401
GET    /none/async                    404   404   404   401
GET    /capabilities                  200   200   200   200
HEAD   /capabilities                  200   200   200   200
GET    /closed/capabilities           200   200   200   200
GET    /                              200   200   200   401
GET    /closed                        200   200   200   401
GET    /login                         401   303   303   401
GET    /healthz                       200   200   200   200
GET    /static/uwsd.css               200   200   200   200
"""
UNKNOWING = ("/healthz", "/static/uwsd.css")


@dataclass(frozen=True)
class Row:
    method: str
    path: str
    expected: dict[str, int]

    def __str__(self) -> str:
        return f"{self.method} {self.path}".replace("{", "").replace("}", "")


def rows() -> list[Row]:
    cells = [line.split() for line in MATRIX.strip().splitlines()]
    who = ("nobody", "alice", "bob", "wrong")
    table = [(m, p, dict(zip(who, map(int, c), strict=True))) for m, p, *c in cells]
    return [Row(m, p, {**e, "proxied alice": e["alice"]}) for m, p, e in table]


@pytest.fixture(scope="module")
def jobs(site: Site) -> dict[str, str]:
    """A PENDING job of alice's, and one without an owner, by their paths."""
    hers = made(session("alice"), f"{site.url}/closed/async")
    nobodys = made(session(), f"{site.url}/open/async")
    return {
        "hers": urlsplit(hers).path,
        "her_id": hers.rpartition("/")[2],
        "nobodys": urlsplit(nobodys).path,
        "missing": MISSING,
    }


def made(by: Session, joblist: str) -> str:
    answer = ask(by, "POST", joblist, data=FORM)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def ask(by: Session, method: str, url: str, **about: object) -> Response:
    return by.request(method, url, allow_redirects=False, timeout=60, **about)  # type: ignore[arg-type]


@pytest.mark.parametrize("row", rows(), ids=str)
def test_who_may_do_what(site: Site, jobs: dict[str, str], row: Row) -> None:
    for who, expected in row.expected.items():
        url = site.url + row.path.format(**jobs)
        data = FORM if row.method == "POST" and row.path.endswith(("async", "parameters")) else None
        answer = ask(CALLERS[who], row.method, url, data=data)
        assert answer.status_code == expected, f"{who}: {answer.text}"
        knows = who in NAMES and row.path not in UNKNOWING
        assert answer.headers.get("X-VO-Authenticated") == (NAMES[who] if knows else None)
        invites = expected == 401 or ("capabilities" in row.path and not knows)
        assert answer.headers.get("WWW-Authenticate") == (CHALLENGE if invites else None)
        if row.path not in UNKNOWING:
            assert answer.headers["Cache-Control"] == "private, no-store"
            assert {"Authorization", "Cookie"} <= set(answer.headers["Vary"].split(", "))


def test_a_stranger_learns_nothing_of_a_job(site: Site, jobs: dict[str, str]) -> None:
    below = (
        "",
        "/phase",
        "/results/result",
        "/results/none",
        "/parameters/TEXT",
        "/nosuch",
        "/%00",
    )
    queries = ("", "?WAIT=bad&wait=1")
    bodies = ({"PHASE": "RUN"}, {"ACTION": "DELETE"}, b"%", b"x" * 3 * 1024**2)
    hers = f"{site.url}{jobs['hers']}"
    paths = product(("GET", "POST", "PUT", "DELETE", "PROPFIND"), below, queries)
    asked: list[tuple[str, str, object]] = [(m, hers + path + q, None) for m, path, q in paths]
    asked += [("POST", hers + path, body) for path, body in product(("", "/phase"), bodies)]
    for who, status in (("bob", 403), ("nobody", 401)):
        seen = {told(ask(CALLERS[who], m, url, data=body)) for m, url, body in asked}
        assert len(seen) == 1, seen
        assert next(iter(seen))[0] == status
    assert ask(CALLERS["alice"], "GET", f"{site.url}{jobs['hers']}/phase").text == "PENDING"


def told(answer: Response) -> tuple[object, ...]:
    changing = ("Date", "Content-Length", "Connection")
    headers = [(n, v) for n, v in answer.headers.items() if n not in changing]
    return answer.status_code, answer.text, *sorted(headers)


def test_a_list_has_the_caller_s_own_jobs_alone(site: Site, jobs: dict[str, str]) -> None:
    hers = jobs["her_id"]
    nobodys = jobs["nobodys"].rpartition("/")[2]
    seen = {who: ask(by, "GET", f"{site.url}/closed/async").text for who, by in CALLERS.items()}
    assert {who for who, text in seen.items() if hers in text} == {"alice", "proxied alice"}
    assert nobodys not in ask(session(), "GET", f"{site.url}/open/async").text
    assert f">{'alice'}<" in ask(CALLERS["alice"], "GET", f"{site.url}{jobs['hers']}").text
    assert 'ownerId xsi:nil="true"' in ask(session(), "GET", f"{site.url}{jobs['nobodys']}").text


def test_the_owner_can_do_everything_and_then_it_is_gone(site: Site) -> None:
    job = made(CALLERS["proxied alice"], f"{site.url}/closed/async")
    assert ask(CALLERS["bob"], "DELETE", job).status_code == 403
    assert ask(CALLERS["alice"], "POST", f"{job}/phase", data={"PHASE": "ABORT"}).ok
    assert ask(CALLERS["alice"], "GET", f"{job}/owner").text == "alice"
    assert ask(CALLERS["alice"], "DELETE", job).status_code == 303
    assert {ask(by, "GET", job).status_code for by in (session(), CALLERS["bob"])} == {404}


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


BAD = [
    basic("alice:wrong"), basic("alice:"), basic("alice"), basic("carol:correct horse"),
    basic("ALICE:correct horse"), basic("alice :correct horse"), basic(":correct horse"),
    basic("alice:correct horse\0"), basic("alice:correct horse" + "x" * 1024), basic("bob:größer"),
    "Basic", "Basic !!!", "Basic YQ", "basic YWxpY2U6d3Jvbmc=", "Basic Og== x",
    "Bearer x", "Bearer uwsd_x", "Digest username=\"alice\", realm=\"basic\"", "Negotiate x", "x",
    "Basic " + base64.b64encode("bob:größer:als".encode("latin-1")).decode(),
]  # fmt: skip


@pytest.mark.parametrize("header", BAD)
def test_a_bad_credential_is_never_taken_for_none(
    site: Site, jobs: dict[str, str], header: str
) -> None:
    lists = ("GET", "/open/async"), ("POST", "/open/async")
    for method, path in (*lists, ("GET", jobs["nobodys"]), ("GET", f"/open/async/{MISSING}")):
        answer = ask(session(), method, site.url + path, headers={"Authorization": header})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, CHALLENGE)
        assert "X-VO-Authenticated" not in answer.headers
        for name, password in PASSWORDS.items():
            assert name not in answer.text
            assert password not in answer.text
    answer = ask(session(), "GET", f"{site.url}/capabilities", headers={"Authorization": header})
    assert (answer.status_code, "X-VO-Authenticated" in answer.headers) == (200, False)


@pytest.mark.parametrize("header", ["Basic Og==", "basic  Og==", ""])
def test_an_empty_name_with_an_empty_password_is_no_credential(site: Site, header: str) -> None:
    answer = ask(session(), "GET", f"{site.url}/open/async", headers={"Authorization": header})
    assert (answer.status_code, "X-VO-Authenticated" in answer.headers) == (200, False)


@pytest.mark.parametrize(
    "second", [basic("bob:größer:als"), basic("alice:correct horse"), "Bearer x"]
)
@pytest.mark.parametrize("first", [basic("alice:correct horse"), "Bearer x", "Negotiate x"])
def test_two_authorizations_are_refused(site: Site, first: str, second: str) -> None:
    address = urlsplit(site.url)
    connection = http.client.HTTPConnection(str(address.hostname), int(address.port or 0), 60)
    connection.putrequest("GET", "/open/async")
    connection.putheader("Authorization", first)
    connection.putheader("Authorization", second)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (400, b"send one Authorization header\n")
    connection.close()


@pytest.mark.parametrize(
    ("service", "who", "status"),
    [
        ("open", "nobody", 403),
        ("function", "nobody", 403),
        ("fetching", "nobody", 303),
        ("closed", "nobody", 401),
        ("open", "bob", 303),
        ("function", "bob", 303),
    ],
)
def test_urls_are_fetched_for_people_whom_it_knows(
    site: Site, service: str, who: str, status: int
) -> None:
    url = f"{site.url}/{service}/async"
    before = len(list((site.data / "jobs").glob("*")))
    ways = ({"file": "http://example.org/x"}, {"UPLOAD": "FILE,http://example.org/x"})
    for form in ways:
        answer = ask(CALLERS[who], "POST", url, data=form)
        assert answer.status_code == status, answer.text
        assert status != 403 or "log in, or send the file" in answer.text
    if status == 303:
        return
    assert len(list((site.data / "jobs").glob("*"))) == before
    if status == 403:
        job = made(session(), url)
        assert ask(session(), "POST", f"{job}/parameters", data=ways[0]).status_code == 403
        assert "example.org" not in ask(session(), "GET", f"{job}/parameters").text


def test_a_desk_is_its_owner_s(server: requests.Session, demo: str) -> None:
    job = requests.post(demo, allow_redirects=False, timeout=60).headers["Location"]
    listed = requests.get(demo, timeout=60)
    assert job.rpartition("/")[2] in listed.text
    assert "WWW-Authenticate" not in listed.headers
