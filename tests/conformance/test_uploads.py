"""Files that come along, or are named by a URL (UWS 2.2.3.1.1, DALI 4.3.5)."""

import http.server
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from tests.conformance.asking import (
    Service,
    ask,
    children,
    create,
    document,
    exchange,
    get,
    is_redirect,
    parameters,
    post,
    refuses,
    said,
)
from tests.serving import Server, finished

TABLE = b"1 2.5\n3\n"


@pytest.fixture
def spectrum(site: Server) -> str:
    """The job list of a function that takes the file ``table``."""
    return f"{site.url}/spectrum/async"


@pytest.fixture
def files(site: Server) -> str:
    """The job list of a service with the files ``FIRST``, ``SECOND``, and any number of ``MORE``."""
    return f"{site.url}/files/async"


def by_reference(job: str) -> dict[str | None, str | None]:
    return {
        p.get("id"): p.text
        for p in children(document(job), "parameter")
        if p.get("byReference") == "true"
    }


def run(job: str) -> str:
    """Run a job to its end; return the phase."""
    assert is_redirect(post(f"{job}/phase", {"PHASE": "RUN"}), job)
    return finished(job)


def test_an_upload_is_readable_under_the_name_of_its_part(spectrum: str) -> None:
    """UWS 2.2.3.1.1, with DALI's UPLOAD beside it as it was sent."""
    part = {"Part": ("t.dat", TABLE, "text/csv; header=absent")}
    job = create(spectrum, {"UPLOAD": "TABLE,param:part"}, files=part)
    assert ("UPLOAD", "TABLE,param:part") in parameters(job)
    references = by_reference(job)
    assert references == {
        "TABLE": f"{job}/parameters/TABLE",
        "part": f"{job}/parameters/part",
    }
    for url in references.values():
        answer = get(str(url))
        assert answer.content == TABLE
        assert answer.headers["Content-Type"] == "text/csv; header=absent"
    assert document(job).find(".//{urn:uwsd:jobinfo:1}ignored") is None
    assert run(job) == "COMPLETED"
    assert get(f"{job}/results/result").json() == [1.0, 2.5, 3.0]


STILTS_BOUNDARY = "<<<--------------MULTIPART-BOUNDARY------->>>"


def stilts(url: str, *parts: tuple[str, str, bytes]) -> bytes:
    """POST exactly as STILTS and TOPCAT do: chunks, an odd boundary, the type before the name."""
    lines = [b""]
    for kind, disposition, content in parts:
        lines += [
            f"--{STILTS_BOUNDARY}".encode(),
            f"Content-Type: {kind}".encode(),
            f"Content-Disposition: form-data; {disposition}".encode(),
            b"",
            content,
        ]
    body = b"\r\n".join([*lines, f"--{STILTS_BOUNDARY}--".encode(), b""])
    pieces = [body[at : at + 50] for at in range(0, len(body), 50)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
    address = urlsplit(url)
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f'Content-Type: multipart/form-data; boundary="{STILTS_BOUNDARY}"\r\n'
        "User-Agent: STILTS/3.5.2 Java/17\r\nAccept: text/html, image/gif, */*; q=.2\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    return exchange(url, head, chunks)


def test_the_chunks_of_stilts_are_understood(spectrum: str) -> None:
    """DALI 4.3.5, byte for byte as the client sends it; line breaks of its texts are CRLF."""
    answer = stilts(
        spectrum,
        ("text/plain; charset=UTF-8", 'name="LANG"', b"ADQL"),
        ("text/plain; charset=UTF-8", 'name="QUERY"', "SELECT *\r\nFROM é".encode()),
        ("text/plain; charset=UTF-8", 'name="UPLOAD"', b"table,param:table"),
        ("application/x-votable+xml", 'name="table"; filename="table"', TABLE),
    )
    status, location = answer.split(b"\r\n")[0], re.search(rb"\r\nLocation: (\S+)", answer)
    assert location, answer
    assert status.startswith(b"HTTP/1.1 303 ")
    job = location[1].decode()
    assert dict(parameters(job))["QUERY"] == "SELECT *\r\nFROM é"
    assert get(f"{job}/parameters/table").headers["Content-Type"] == "application/x-votable+xml"
    assert run(job) == "COMPLETED"
    assert get(f"{job}/results/result").json() == [1.0, 2.5, 3.0]


def test_files_can_be_added_one_by_one(files: str) -> None:
    """DALI 4.3.5; pyvo's ``AsyncTAPJob.upload`` posts one table after the other."""
    job = create(files)
    for name, content in (("FIRST", b"1"), ("SECOND", b"2"), ("FIRST", b"3")):
        form = {"UPLOAD": f"{name},param:{name}"}
        assert is_redirect(post(f"{job}/parameters", form, files={name: content}), job)
    uploads = [text for name, text in parameters(job) if name == "UPLOAD"]
    assert sorted(map(str, uploads)) == ["FIRST,param:FIRST", "SECOND,param:SECOND"]
    assert run(job) == "COMPLETED"
    assert get(f"{job}/results/stdout").content == b"32"


def test_a_file_can_be_replaced_by_any_means(files: str) -> None:
    """UWS 2.1.11: what named the old one is gone as well."""
    job = create(files, {"UPLOAD": "FIRST,param:x"}, files={"x": b"old"})
    assert is_redirect(post(f"{job}/parameters", {"first": "new"}), job)
    assert [(n, t) for n, t in parameters(job) if n != "x"] == [("first", "new")]
    assert is_redirect(ask("PUT", f"{job}/parameters/FIRST", data=b"newer"), job)
    sent = get(f"{job}/parameters/FIRST")
    assert (sent.content, sent.headers["Content-Type"]) == (b"newer", "application/octet-stream")
    kind = {"Content-Type": "text/plain; charset=utf-16"}
    ask("PUT", f"{job}/parameters/FIRST", data=b"typed", headers=kind)
    assert get(f"{job}/parameters/FIRST").headers["Content-Type"] == kind["Content-Type"]
    assert run(job) == "COMPLETED"
    assert get(f"{job}/results/stdout").content == b"typed"


def test_none_of_several_files_is_lost(files: str) -> None:
    """DALI 4.2: what may be given once is refused when it is given twice, files not excepted."""
    several = [("MORE", b"1"), ("more", b"2"), ("FIRST", b"0")]
    job = post(files, files=several).headers["Location"]
    assert run(job) == "COMPLETED"
    assert get(f"{job}/results/stdout").content == b"012"
    twice = [("FIRST", b"1"), ("first", b"2")]
    assert refuses(post(files, files=twice), 400, "FIRST takes one value, not 2")
    assert refuses(post(files, {"FIRST": "1"}, files={"FIRST": b"2"}), 400, "not 2")
    ambiguous = post(files, {"UPLOAD": "FIRST,param:x"}, files=[("x", b"1"), ("X", b"2")])
    assert refuses(ambiguous, 400, "names several parts")


@pytest.mark.parametrize(
    ("upload", "says"),
    [
        ("1t,param:x", "UPLOAD takes name,URI"),
        ("a-b,param:x", "UPLOAD takes name,URI"),
        ("FIRST", "UPLOAD takes name,URI"),
        (",param:x", "UPLOAD takes name,URI"),
        ("FIRST,", "UPLOAD takes name,URI"),
        ("FIRST,param:x SECOND,param:x", "UPLOAD takes name,URI"),
        ("FIRST,param:", "names no part"),
        ("FIRST,param:y", "param:y names no part"),
        ("FIRST,vos://example.org~vospace/a", "FIRST"),
        ("FIRST,ftp://example.org/a", "FIRST"),
        ("FIRST,file:///etc/passwd", "FIRST"),
        ("FIRST,http://", "FIRST"),
        ("nosuch,param:x", "takes no file nosuch"),
    ],
)
def test_what_is_no_upload_is_refused(files: str, upload: str, says: str) -> None:
    """DALI 4.3.5: a letter, then letters, digits and underscores; a URI; the part is in the form."""
    before = get(files).content
    job = create(files)
    part = {"x": b"1"} if ":x" in upload else {}
    for url in (files, f"{job}/parameters"):
        assert refuses(post(url, {"UPLOAD": upload}, files=part), 400, says)
    assert parameters(job) == []
    ask("DELETE", job)
    assert get(files).content == before


def test_names_of_uploads_are_unique(files: str) -> None:
    """DALI 4.3.5."""
    form = [("UPLOAD", "MORE,param:x"), ("upload", "more,param:y")]
    answer = post(files, form, files={"x": b"1", "y": b"2"})
    assert refuses(answer, 400, "UPLOAD names more more than once")
    parts = [("MORE", "param:x"), ("MORE", "param:y")]
    job = create(files, parts, files={"x": b"1", "y": b"2"})
    assert run(job) == "COMPLETED"
    assert get(f"{job}/results/stdout").content == b"12"


def test_a_service_that_takes_no_file_says_so(server: Server, site: Server) -> None:
    """DALI 4.3.5: of those that take files."""
    for joblist in (f"{server.url}/demo/async", f"{site.url}/unlimited/async"):
        for form in ({"UPLOAD": "t,param:t"}, {}):
            answer = post(joblist, form, files={"t": TABLE})
            assert refuses(answer, 400, "this service takes no file")
        assert refuses(post(joblist, {"UPLOAD": "t,http://example.org/"}), 400, "takes no file t")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_larger_than_the_limit_is_refused(site: Server, files: str, chunked: bool) -> None:
    """DALI 4.3.5: a limit is the service's to set. The job is as it was."""
    spectrum = f"{site.url}/spectrum/async"
    just = {"table": b" " * 65535 + b"1"}
    job = create(spectrum, files=just)
    prepared = requests.Request("POST", spectrum, files={"table": b" " * 65537}).prepare()
    assert isinstance(prepared.body, bytes)
    body = iter([prepared.body]) if chunked else prepared.body
    kind = {"Content-Type": prepared.headers["Content-Type"]}
    assert refuses(post(f"{job}/parameters", body, headers=kind), 413, "bytes")
    assert refuses(ask("PUT", f"{job}/parameters/table", data=b" " * 65537), 413, "bytes")
    assert get(f"{job}/parameters/table").content == just["table"]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "a\\b",
        "<script>alert(1)</script>",
        'a"; x="',
        "é\n日",
    ],
)
def test_a_file_name_is_metadata_and_nothing_else(site: Server, spectrum: str, name: str) -> None:
    """RFC 7578 section 4.2: it may be an attack. The file is kept, and sent, under our name."""
    job = create(spectrum, files={"table": (name, TABLE)})
    answer = get(f"{job}/parameters/table")
    assert answer.content == TABLE
    assert answer.headers["Content-Disposition"] == "attachment; filename=table"
    kept = list((site.data / "jobs" / job.rpartition("/")[2]).rglob("*"))
    assert [path.name.rpartition("-")[0] for path in kept if path.is_file()] == ["table"]
    assert run(job) == "COMPLETED"
    page = get(job, headers={"Accept": "application/xhtml+xml"}).text
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("media_type", "shown"),
    [
        ("text/html", False),
        ("text/html; charset=utf-8", False),
        ("IMAGE/SVG+XML", False),
        ("application/xhtml+xml", False),
        ("text/xml", False),
        ("application/pdf", False),
        ("text/javascript", False),
        ("text/plain", True),
        ("TEXT/CSV; charset=utf-8", True),
        ("image/png", True),
        ("application/x-votable+xml", True),
        ("application/fits", True),
    ],
)
def test_what_a_browser_may_show_is_listed(spectrum: str, media_type: str, shown: bool) -> None:
    """Foreign content from our own host: never sniffed, never run, mostly only saved."""
    url = create(spectrum, files={"table": ("t", TABLE, media_type)}) + "/parameters/table"
    for method in ("GET", "HEAD"):
        headers = ask(method, url).headers
        assert headers["Content-Type"] == media_type
        assert headers["Content-Length"] == str(len(TABLE))
        assert headers["Content-Disposition"].startswith("inline" if shown else "attachment")
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "media_type", ["text", "text/", "/plain", "text/\x01", "text/€", "a b/c", "text/plain; é", "a/" + "b" * 300]
)  # fmt: skip
def test_what_is_no_media_type_is_refused(spectrum: str, media_type: str) -> None:
    """RFC 9110 section 8.3.1: it could not be sent out again."""
    body = (
        '--XX\r\nContent-Disposition: form-data; name="table"; filename="t"\r\n'
        f"Content-Type: {media_type}\r\n\r\n1\r\n--XX--\r\n"
    ).encode()
    kind = {"Content-Type": "multipart/form-data; boundary=XX"}
    assert refuses(post(spectrum, body, headers=kind), 400, "is no media type")


@contextmanager
def web(routes: dict[str, tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine; give its URL and the paths it is asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, content = routes[self.path]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}", asked
        finally:
            listening.shutdown()
            thread.join()


def failures(joblist: str, name: str, urls: list[str]) -> dict[str, str]:
    """Run a job with each URL at once; return what each is said to have failed of."""

    def fail(url: str) -> str:
        job = create(joblist, {"UPLOAD": f"{name},{url}", "PHASE": "RUN"})
        assert finished(job) == "ERROR", url
        message = str(said(document(job), "message"))
        assert message in get(f"{job}/error").text
        assert refuses(get(f"{job}/results/result"), 404, message), "astroquery shows that alone"
        return message

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(urls, pool.map(fail, urls), strict=True))


def test_a_file_is_fetched_where_the_service_lets_it(spectrum: str) -> None:
    """DALI 4.3.5: http, through redirects; UPLOAD and the plain parameter are the same."""
    routes = {
        "/table?a=1&b=%20": (200, {}, TABLE),
        "/moved": (302, {"Location": "/table?a=1&b=%20"}, b""),
        "/none": (404, {}, b"secret"),
        "/large": (200, {}, b" " * 65537),
        "/short": (200, {"Content-Length": "99"}, TABLE),
    }
    with web(routes) as (url, asked):
        for form in (
            {"UPLOAD": f"table,{url}/table?a=1&b=%20"},
            {"TABLE": f"{url}/moved"},
        ):
            job = create(spectrum, form)
            references = by_reference(job)
            assert list(references.values()) == [next(iter(form.values())).rpartition(",")[2]]
            assert asked == [], "not before it runs"
            assert run(job) == "COMPLETED"
            assert get(f"{job}/results/result").json() == [1.0, 2.5, 3.0]
            asked.clear()
        bad = ["/none", "/large", "/short"]
        said_of = failures(spectrum, "table", [url + path for path in bad])
        assert [message.partition(": ")[2] for message in said_of.values()] == [
            "its server answered with status 404",
            "it is larger than 65536 bytes",
            "its server did not send all of it",
        ]


def test_a_private_address_is_not_asked_and_nobody_can_tell(server: Server) -> None:
    """What is there, and what is not, has one sentence: no port of ours can be found with it."""
    with web({"/": (200, {}, b"secret")}) as (url, asked):
        port = urlsplit(url).port
        hosts = [
            "127.0.0.1",
            "localhost",
            "2130706433",
            "0x7f.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ]
        urls = [f"http://{host}:{port}/" for host in hosts]
        urls += ["http://127.0.0.1:1/", "http://127.0.0.1:22/", "https://127.0.0.1/"]
        urls += [
            "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.1/",
            "http://nosuch.invalid/",
        ]
        said_of = failures(f"{server.url}/checksum/async", "FILE", urls)
        assert asked == []
    assert set(said_of.values()) == {
        "FILE cannot be fetched: its server cannot be reached, or may not be asked"
    }


def test_a_url_is_a_url_of_a_file_only(service: Service) -> None:
    """DALI 4.1: a value is a value where no file is expected."""
    name, _ = service.changed
    if name != "FILE":
        job = create(service.joblist, {name: "http://127.0.0.1:1/"})
        assert by_reference(job) == {}
        assert get(f"{job}/parameters/{name}").text == "http://127.0.0.1:1/"
