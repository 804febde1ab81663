"""How the tests of conformance talk to a server: plain requests, and none follows a redirect."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from lxml import etree

from uwsd.schemas import validate
from uwsd.uws.documents import UWS, XSI

NIL = f"{{{XSI}}}nil"
NOBODY = "00000000-0000-4000-8000-000000000000"

PHASES = (
    *("PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED"),
    *("UNKNOWN", "HELD", "SUSPENDED", "ARCHIVED"),
)


_session = requests.Session()
_session.trust_env = False  # reading the environment for proxies takes longer than an answer
_session.headers["Connection"] = "close"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service, and parameters that it understands."""

    url: str
    fields: Mapping[str, str] = field(default_factory=dict)  #: a job with them is soon COMPLETED
    failing: Mapping[str, str] = field(default_factory=dict)  #: a job with them ends in ERROR
    changed: tuple[str, str] = ("", "")  #: one of the fields, and another value for it

    @property
    def joblist(self) -> str:
        return f"{self.url}/async"

    def pending(self, **more: str) -> str:
        return create(self.joblist, {**self.fields, **more})

    def started(self, **more: str) -> str:
        return self.pending(PHASE="RUN", **more)

    def failed(self) -> str:
        return create(self.joblist, {**self.failing, "PHASE": "RUN"})


def ask(method: str, url: str, **how: Any) -> requests.Response:
    """Send one request, on a connection of its own."""
    return _session.request(method, url, allow_redirects=False, timeout=100, **how)


def get(url: str, **how: Any) -> requests.Response:
    return ask("GET", url, **how)


def post(url: str, fields: Any = None, **how: Any) -> requests.Response:
    return ask("POST", url, data=fields, **how)


def create(joblist: str, fields: Any = None, **how: Any) -> str:
    """Make a job; return its URL."""
    answer = post(joblist, fields, **how)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def is_redirect(answer: requests.Response, url: str) -> bool:
    """Whether a change was made, and the client is sent to ``url`` (UWS 2.2.3)."""
    return answer.status_code == 303 and answer.headers["Location"] == url


def document(url: str, **query: str) -> etree._Element:
    """Read a document of UWS, which is valid."""
    answer = get(url, params=query)
    assert answer.status_code == 200, answer.text
    validate(answer.content)
    return etree.fromstring(answer.content)


def said(root: etree._Element, name: str) -> str | None:
    return root.findtext(f".//{{{UWS}}}{name}")


def children(root: etree._Element, name: str) -> list[etree._Element]:
    return list(root.iter(f"{{{UWS}}}{name}"))


def parameters(job: str) -> list[tuple[str | None, str | None]]:
    """Return the names and the texts of a job's parameters."""
    return [(p.get("id"), p.text or "") for p in children(document(job), "parameter")]


def refuses(answer: requests.Response, status: int, says: str = "") -> bool:
    """Whether an answer is a refusal with a sentence, as text and not as markup."""
    is_text = answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    is_sentence = says in answer.text and "<" not in answer.text and answer.text.endswith("\n")
    assert (answer.status_code, is_text, is_sentence) == (status, True, True), answer.text
    return True


def exchange(url: str, head: str, body: bytes) -> bytes:
    """Send exactly these bytes; return all of the answer."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), 20) as peer:
        peer.sendall(head.encode("latin-1") + body)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
    return answer
