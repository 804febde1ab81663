"""Bad input, over a real socket: the status and the sentence that each must get.

None makes a 5xx, and none leaves a job, half made or whole.
"""

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import requests

from tests.serving import Server

pytestmark = pytest.mark.both_databases

FORM = "Content-Type: application/x-www-form-urlencoded"
MULTI = "Content-Type: multipart/form-data; boundary=XX"
CHUNKED = "Transfer-Encoding: chunked"
NOBODY = "00000000-0000-4000-8000-000000000000"


def part(name: str, content: str, filename: str | None = None, media_type: str = "") -> str:
    file = "" if filename is None else f'; filename="{filename}"'
    kind = f"\r\nContent-Type: {media_type}" if media_type else ""
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}{kind}\r\n\r\n{content}\r\n'


@dataclass(frozen=True)
class Bad:
    """One request and the answer it must get. ``{job}`` is a PENDING job, ``{file}``
    another one, with a file, ``{done}`` a finished one."""

    request: str
    status: int
    says: str
    headers: tuple[str, ...] = (FORM,)
    body: str = ""
    host: str | None = None
    length: int | None = None

    def __str__(self) -> str:
        return f"{self.request}-{self.says}"[:60].replace("{", "").replace("}", "")


LIST, JOB = "/demo/async", "/demo/async/{job}"
BIG = "x" * (64 * 1024 + 1)

REQUESTS = [
    # creation
    Bad(f"POST {LIST}", 400, "RUNID is given 2 times", body="RUNID=a&runid=b"),
    Bad(f"POST {LIST}", 400, "RUNID is given 2 times", body="RUNID=a&RUNID=a"),
    Bad(f"POST {LIST}?RUNID=b", 400, "RUNID is given 2 times", body="RUNID=a"),
    Bad(f"POST {LIST}", 400, "RUNID takes up to 64", body="RUNID=" + "a" * 65),
    Bad(f"POST {LIST}", 400, "characters that XML can hold", body="RUNID=a%00b"),
    Bad(f"POST {LIST}", 400, "characters that XML can hold", body="RUNID=%EF%BF%BE"),
    Bad(f"POST {LIST}", 400, "can only be RUN", body="PHASE=run"),
    Bad(f"POST {LIST}", 400, "can only be RUN", body="PHASE=ABORT"),
    Bad(f"POST {LIST}", 400, "PHASE is given 2 times", body="PHASE=RUN&phase=RUN"),
    Bad(f"POST {LIST}", 400, "whole seconds", body="EXECUTIONDURATION=-1"),
    Bad(f"POST {LIST}", 400, "whole seconds", body="EXECUTIONDURATION=1.5"),
    Bad(f"POST {LIST}", 400, "whole seconds", body="EXECUTIONDURATION="),
    Bad(f"POST {LIST}", 400, "whole seconds", body="EXECUTIONDURATION=%D9%A3"),
    Bad(f"POST {LIST}", 400, "whole seconds", body="EXECUTIONDURATION=" + "9" * 19),
    Bad(f"POST {LIST}", 400, "DESTRUCTION: 'soon' is not a time", body="DESTRUCTION=soon"),
    Bad(f"POST {LIST}", 400, "is not a time", body="DESTRUCTION="),
    Bad(f"POST {LIST}", 400, "is not a time", body="DESTRUCTION=2027-01-01T00:00:00%2B01:00"),
    Bad(f"POST {LIST}", 400, "SECONDS takes", body="SECONDS=many"),
    Bad(f"POST {LIST}", 400, "SECONDS takes", body="SECONDS=-1"),
    Bad(f"POST {LIST}", 400, "SECONDS takes", body="SECONDS=3601"),
    Bad(f"POST {LIST}", 400, "SECONDS takes", body="SECONDS=NaN"),
    Bad(f"POST {LIST}", 400, "SECONDS takes", body="seconds=1e999"),
    Bad(f"POST {LIST}", 400, "EXIT takes", body="EXIT=256"),
    Bad(f"POST {LIST}", 400, "EXIT takes", body="EXIT=1.0"),
    Bad(f"POST {LIST}", 400, "EXIT takes", body="EXIT=" + "1" * 5000),
    Bad(f"POST {LIST}", 400, "EXIT", body="EXIT=1&exit=2"),
    Bad(f"POST {LIST}", 400, "TEXT takes no NUL", body="TEXT=a%00b"),
    Bad(f"POST {LIST}", 400, "needs a name", body="=a"),
    Bad(f"POST {LIST}", 400, "needs a name", body="a%01b=c"),
    Bad(f"POST {LIST}", 400, "needs a name", body="a%0Ab=c"),
    Bad(f"POST {LIST}", 400, "one segment", body="a//b=%01"),
    Bad(f"POST {LIST}", 400, "one segment", body="..=c"),
    # encodings
    Bad(f"POST {LIST}", 400, "is not UTF-8", body="TEXT=%FF%FE"),
    Bad(f"POST {LIST}", 400, "is not UTF-8", body="%FF=a"),
    Bad(f"POST {LIST}", 400, "two hexadecimal digits", body="TEXT=%G1"),
    Bad(f"POST {LIST}", 400, "two hexadecimal digits", body="TEXT=%"),
    Bad(f"POST {LIST}?TEXT=%FF", 400, "is not UTF-8"),
    Bad(f"POST {LIST}", 415, "not application/json", ("Content-Type: application/json",), "{}"),
    Bad(f"POST {LIST}", 415, "not text/xml", ("Content-Type: text/xml",), "<job/>"),
    Bad(f"POST {LIST}", 415, "say what the body is", (), "TEXT=a"),
    Bad(f"POST {LIST}", 415, "Content-Encoding", (FORM, "Content-Encoding: gzip"), "TEXT=a"),
    # sizes
    Bad(f"POST {LIST}", 413, "are the most for a value", body=f"TEXT={BIG}"),
    Bad(f"POST {LIST}", 413, "name has", body="a" * 65 + "=1"),
    Bad(f"POST {LIST}", 413, "more than 200 fields", body="a=1&" * 201),
    Bad(f"POST {LIST}", 413, "are the most", length=3 * 1024**2),
    Bad(f"POST {LIST}", 413, "the body has more than", (FORM, CHUNKED), body="chunks"),
    # broken bodies
    Bad(f"POST {LIST}", 400, "cannot be read", (FORM, CHUNKED), "zz\r\nTEXT=a\r\n0\r\n\r\n"),
    Bad(f"POST {LIST}", 400, "cannot be read", (FORM, CHUNKED), "5\r\nTEXT=abc\r\n0\r\n\r\n"),
    Bad(f"POST {LIST}", 400, "ended after 6 of 9 bytes", body="TEXT=a", length=9),
    Bad(f"POST {LIST}", 400, "no boundary", ("Content-Type: multipart/form-data",), "x"),
    Bad(f"POST {LIST}", 400, "broken", (MULTI,), "no part at all"),
    Bad(f"POST {LIST}", 400, "broken", (MULTI,), part("TEXT", "a")),
    Bad(f"POST {LIST}", 400, "no name", (MULTI,), "--XX\r\nContent-Disposition: form-data\r\n\r\na\r\n--XX--\r\n"),
    Bad(f"POST {LIST}", 400, "is not UTF-8", (MULTI,), part("TEXT", "\xff") + "--XX--\r\n"),
    Bad(f"POST {LIST}", 400, "takes no file 'TEXT'", (MULTI,), part("TEXT", "a", "a.txt") + "--XX--\r\n"),
    Bad(f"POST {LIST}", 413, "send it as a file", (MULTI,), part("TEXT", BIG) + "--XX--\r\n"),
    Bad(f"POST {LIST}", 413, "more than 200 fields", (MULTI,), part("a", "1") * 201 + "--XX--\r\n"),
    # uploads
    Bad(f"POST {LIST}", 400, "takes no file", body="UPLOAD=TEXT,http://example.org/"),
    Bad(f"POST {LIST}", 400, "UPLOAD takes name,URI", body="UPLOAD=FILE"),
    Bad("POST /checksum/async", 400, "names no part", body="FILE=param:x"),
    Bad("POST /checksum/async", 400, "names no part", body="UPLOAD=FILE,param:x"),
    Bad("POST /checksum/async", 400, "UPLOAD takes http", body="UPLOAD=FILE,/etc/passwd"),
    Bad("POST /checksum/async", 400, "FILE", body="FILE=file:///etc/passwd"),
    Bad("POST /checksum/async", 400, "FILE", body="FILE=http://user:secret@example.org/"),
    Bad("POST /checksum/async", 400, "must be given", body="PHASE=RUN"),
    *(
        Bad("POST /checksum/async", 400, "no media type", (MULTI,), part("FILE", "a", "a", media_type) + "--XX--\r\n")
        for media_type in ("text/plain\0", "text/plain; x=\xc3\xa9", "text\x0b/plain", "text", "a/" + "b" * 128)
    ),
    Bad("PUT /checksum/async/{file}/parameters/FILE", 400, "no media type", ("Content-Type: \xe9/x",), "a"),
    # lists
    Bad(f"GET {LIST}?PHASE=SUCCESS", 400, "PHASE takes PENDING"),
    Bad(f"GET {LIST}?PHASE=pending", 400, "PHASE takes PENDING"),
    Bad(f"GET {LIST}?LAST=0", 400, "above 0"),
    Bad(f"GET {LIST}?LAST=-1", 400, "above 0"),
    Bad(f"GET {LIST}?LAST=x", 400, "above 0"),
    Bad(f"GET {LIST}?LAST=1&last=1", 400, "LAST is given 2 times"),
    Bad(f"GET {LIST}?AFTER=2015-26-10", 400, "AFTER"),
    Bad(f"GET {LIST}?AFTER=2015-10-26T09:00%2B01:00", 400, "AFTER"),
    Bad(f"GET {LIST}?AFTER=2015-10-26T09:00+01:00", 400, "AFTER"),
    Bad(f"DELETE {LIST}", 405, "not allowed"),
    # jobs
    Bad(f"GET {LIST}/{NOBODY}", 404, "there is no job"),
    Bad(f"GET {LIST}/{NOBODY.upper()}a", 404, ""),
    Bad(f"GET {LIST}/1", 404, ""),
    Bad(f"GET {LIST}/%00", 404, ""),
    Bad(f"GET {LIST}/..%2f..%2fetc%2fpasswd", 404, ""),
    Bad("GET /nosuch/async", 404, "there is no service nosuch"),
    Bad(f"GET {JOB}/nosuch", 404, ""),
    Bad(f"GET {JOB}/error", 404, "has not failed"),
    Bad(f"GET {JOB}/results/none", 404, "no result none"),
    Bad(f"GET {JOB}/results/..%2f..%2frun%2ftask.json", 404, "no result"),
    Bad(f"GET {JOB}/parameters/none", 404, "no parameter none"),
    Bad(f"GET {JOB}?WAIT=x", 400, "WAIT takes"),
    Bad(f"GET {JOB}?WAIT=", 400, "WAIT takes"),
    Bad(f"GET {JOB}?WAIT=1.5", 400, "WAIT takes"),
    Bad(f"GET {JOB}?WAIT=-2", 400, "WAIT takes"),
    Bad(f"GET {JOB}?WAIT=0&PHASE=DONE", 400, "PHASE takes"),
    Bad(f"POST {JOB}", 400, "POST ACTION=DELETE here"),
    Bad(f"POST {JOB}", 400, "POST ACTION=DELETE here", body="TEXT=a"),
    Bad(f"POST {JOB}", 400, "can only be DELETE", body="ACTION=delete"),
    Bad(f"POST {JOB}", 400, "POST ACTION=DELETE here", body="ACTION=DELETE&TEXT=a"),
    Bad(f"PUT {JOB}", 405, "not allowed"),
    Bad(f"POST {JOB}/phase", 400, "POST PHASE=RUN"),
    Bad(f"POST {JOB}/phase", 400, "must be RUN or ABORT", body="PHASE=run"),
    Bad(f"POST {JOB}/phase?PHASE=ABORT", 400, "PHASE is given 2 times", body="PHASE=RUN"),
    Bad(f"POST {JOB}/executionduration", 400, "POST EXECUTIONDURATION"),
    Bad(f"POST {JOB}/destruction", 400, "POST DESTRUCTION"),
    Bad(f"POST {JOB}/quote", 405, "not allowed", body="QUOTE=1"),
    Bad(f"DELETE {JOB}/results", 405, "not allowed"),
    Bad(f"DELETE {JOB}/parameters/TEXT", 405, "not allowed"),
    Bad(f"POST {JOB}/parameters", 400, "PHASE is no parameter", body="PHASE=RUN"),
    Bad(f"POST {JOB}/parameters", 400, "SECONDS takes", body="SECONDS=x"),
    Bad(f"PUT {JOB}/parameters/NONE", 404, "no parameter NONE", ("Content-Type: text/plain",), "x"),
    Bad(f"PUT {JOB}/parameters/TEXT", 400, "is not UTF-8", ("Content-Type: text/plain",), "\xff"),
    Bad("POST /demo/async/{done}/phase", 403, "a job that is COMPLETED cannot RUN", body="PHASE=RUN"),
    Bad("POST /demo/async/{done}/phase", 403, "a job that is COMPLETED cannot ABORT", body="PHASE=ABORT"),
    Bad("POST /demo/async/{done}/parameters", 403, "keeps its parameters", body="TEXT=a"),
    Bad("POST /demo/async/{done}/executionduration", 403, "is settled", body="EXECUTIONDURATION=1"),
    Bad("PUT /demo/async/{done}/parameters/TEXT", 403, "keeps its", ("Content-Type: text/plain",), "x"),
    # the edge
    Bad(f"GET {LIST}", 400, "set server.base_url", host="example.org"),
    Bad(f"GET {LIST}", 400, "set server.base_url", host="127.0.0.1:1"),
    Bad(f"GET {LIST}", 400, "set server.base_url", host="localhost"),
    Bad(f"GET {LIST}", 400, "set server.base_url", host="127.0.0.1.example.org:80"),
    Bad(f"POST {LIST}", 400, "set server.base_url", host="[::1%x]:{port}"),
    Bad(f"POST {LIST}", 400, "set server.base_url", host="[[::1]]:{port}"),
    Bad(f"POST {LIST}", 400, "set server.base_url", host="::1:{port}"),
    # headers that are as if not there
    *(
        Bad("GET /demo/async/{done}/results/result", 200, "hello", (header,))
        for header in (
            "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 +99999999999999",
            "If-Modified-Since: Thu, 01 Jan 99999999999999999999 00:00:00 GMT",
            "If-Unmodified-Since: soon",
            "If-Range: Thu, 01 Jan 1970 00:00:00 +99999999999999\r\nRange: bytes=0-0",
            "Range: lines=1-2",
            "Range: bytes=0-0,2-2",
        )
    ),
]  # fmt: skip


def send(server: Server, bad: Bad, **jobs: str) -> tuple[int, str]:
    """Send exactly these bytes, and return the status and the body of the answer."""
    method, _, path = bad.request.partition(" ")
    address = urlsplit(server.url)
    host = bad.host or address.netloc
    body = bad.body.encode("latin-1")
    if bad.body == "chunks":
        body = b"".join(b"10000\r\n" + b"a" * 0x10000 + b"\r\n" for _ in range(40)) + b"0\r\n\r\n"
    lines = [
        f"{method} {path.format(**jobs)} HTTP/1.1",
        f"Host: {host.format(port=address.port)}",
        "Connection: close",
        *bad.headers,
    ]
    if CHUNKED not in bad.headers:
        lines.append(f"Content-Length: {len(body) if bad.length is None else bad.length}")
    with socket.create_connection((str(address.hostname), int(address.port or 0)), 20) as peer:
        peer.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        try:
            peer.sendall(body)
            peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all of it was sent, as it should be
        answer = b""
        try:
            while piece := peer.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    head, _, content = answer.partition(b"\r\n\r\n")
    match = re.match(rb"HTTP/1\.1 (\d+)", head)
    assert match, answer
    return int(match[1]), content.decode()


@pytest.fixture(scope="module")
def jobs(server: Server) -> dict[str, str]:
    """A PENDING job, one with a file, and a finished one."""
    url = f"{server.url}/demo/async"
    pending = requests.post(url, data={"TEXT": "a"}, timeout=60).url
    done = requests.post(url, data={"PHASE": "RUN"}, timeout=60).url
    while requests.get(f"{done}/phase", timeout=60).text != "COMPLETED":
        requests.get(done, params={"WAIT": "10"}, timeout=60)
    files = {"FILE": ("a", b"a", "text/plain")}
    file = requests.post(f"{server.url}/checksum/async", files=files, timeout=60).url
    return {"job": pending[-36:], "done": done[-36:], "file": file[-36:]}


@pytest.fixture(scope="module")
def before(server: Server, jobs: dict[str, str]) -> dict[str, str]:
    """What there is before the first bad request."""
    return inventory(server)


def inventory(server: Server) -> dict[str, str]:
    lists = {
        s: requests.get(f"{server.url}/{s}/async", timeout=60).text for s in ("demo", "checksum")
    }
    files = {str(path): "" for path in (server.data / "jobs").glob("*/inputs/*")}
    return lists | files


@pytest.mark.parametrize("bad", REQUESTS, ids=str)
def test_a_bad_request_is_told_what_is_wrong_and_changes_nothing(
    server: Server, jobs: dict[str, str], bad: Bad
) -> None:
    before = inventory(server)
    status, content = send(server, bad, **jobs)
    assert (status, bad.says in content) == (bad.status, True), content
    assert "<" not in content, "an error is plain text"
    assert inventory(server) == before


def test_there_are_many_of_them() -> None:
    assert len(REQUESTS) >= 60
