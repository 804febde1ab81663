"""Fetching by reference: what arrives, which statuses and redirects there are, and TLS."""

import http.server
import os
import resource
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from shutil import which

import pytest

import uwsd.worker
from tests.worker.conftest import CONTENT, INCOMPLETE, UNREACHABLE, Serve, get, refusal
from tests.worker.oddserver import (
    chunked,
    cut,
    drip,
    head,
    ok,
    redirect,
    unsized,
)
from uwsd.worker.fetch import Refused


def test_a_file_of_a_web_server_arrives(tmp_path: Path, target: Path) -> None:
    (tmp_path / "data.bin").write_bytes(CONTENT)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            assert get(f"http://127.0.0.1:{server.server_port}/data.bin", target) == CONTENT
            (tmp_path / "data.bin").unlink()
            other = target.with_name("FILE2")
            with pytest.raises(Refused, match=r"^FILE2 cannot be .* answered with status 404$"):
                get(f"http://127.0.0.1:{server.server_port}/data.bin", other)
        finally:
            server.shutdown()
            thread.join()
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "answer",
    [
        ok(CONTENT),
        unsized(CONTENT),
        chunked(CONTENT),
        chunked(CONTENT, size=10),
        head(100) + ok(CONTENT),
        ok(CONTENT, b"Content-Encoding: identity"),
    ],
    ids=["sized", "unsized", "chunked", "finely chunked", "after 100", "identity"],
)
def test_every_framing_of_http_is_understood(serve: Serve, target: Path, answer: bytes) -> None:
    assert get(serve(answer).url, target) == CONTENT


def test_an_empty_content_is_a_content(serve: Serve, target: Path) -> None:
    assert get(serve(ok(b"")).url, target, max_bytes=0) == b""


def test_a_file_that_is_there_is_replaced(serve: Serve, target: Path) -> None:
    target.write_bytes(b"from an earlier start of the worker")
    assert get(serve(ok(CONTENT)).url, target) == CONTENT


def test_a_link_in_place_of_the_target_is_not_followed(serve: Serve, target: Path) -> None:
    elsewhere = target.parent.parent / "elsewhere"
    elsewhere.write_bytes(b"mine")
    target.symlink_to(elsewhere)
    assert get(serve(ok(CONTENT)).url, target) == CONTENT
    assert not target.is_symlink()
    assert elsewhere.read_bytes() == b"mine"


def test_a_target_that_cannot_be_written_is_no_refusal(serve: Serve, target: Path) -> None:
    with pytest.raises(FileNotFoundError):
        get(serve(ok(CONTENT)).url, target.parent / "nowhere" / "FILE")
    target.mkdir()
    with pytest.raises(IsADirectoryError):
        get(serve(ok(CONTENT)).url, target)
    assert list(target.parent.iterdir()) == [target]


def test_a_full_disk_is_no_refusal_and_leaves_nothing(serve: Serve, target: Path) -> None:
    url = serve(ok(b"more than ten bytes")).url
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            get(url, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(target.parent.iterdir()) == []


def test_the_request_says_nothing_of_who_asks(
    serve: Serve, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = serve(ok(CONTENT)), serve(ok(b"from the proxy"))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{proxy.authority}")
    assert get(f"{server.url}/a%20b;c?d=e%26f&g", target) == CONTENT
    assert proxy.accepted == 0
    assert server.requests == [
        b"GET /data/a%20b;c?d=e%26f&g HTTP/1.1\r\n"
        b"Host: " + server.authority.encode() + b"\r\n"
        b"User-Agent: uwsd\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        b"Connection: close\r\n\r\n"
    ]


def test_it_works_where_there_is_only_the_standard_library(serve: Serve, target: Path) -> None:
    (worker,) = uwsd.worker.__path__
    script = (
        "import sys; from pathlib import Path; from types import ModuleType\n"
        "package = sys.modules['worker'] = ModuleType('worker')\n"
        "package.__path__ = [sys.argv[1]]\n"
        "from worker.fetch import fetch\n"
        "path = Path(sys.argv[3])\n"
        "fetch(sys.argv[2], path, max_bytes=10**6, timeout=10, private_addresses=True)\n"
        "assert not [name for name in sys.modules if name.startswith('uwsd')]\n"
    )
    arguments = (worker, serve(ok(CONTENT)).url, str(target))
    command = (sys.executable, "-I", "-S", "-c", script, *arguments)
    subprocess.run(command, check=True, timeout=30, cwd="/")
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 401, 403, 404, 410, 429, 500, 503])
def test_any_status_but_200_is_told_and_nothing_else(
    serve: Serve, target: Path, status: int
) -> None:
    server = serve(head(status, b"Location: /x", b"X: secret") + b"secret")
    reason = f"FILE cannot be fetched: its server answered with status {status}"
    assert refusal(server.url, target) == reason


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(serve: Serve, target: Path, status: int) -> None:
    other = serve(ok(CONTENT))
    server = serve(
        redirect("/absolute?q", status), redirect("relative#part", status), redirect(other.url)
    )
    assert get(server.url, target) == CONTENT
    paths = [request.split()[1] for request in server.requests]
    assert paths == [b"/data", b"/absolute?q", b"/relative"]


def test_a_fourth_redirect_is_refused(serve: Serve, target: Path) -> None:
    server = serve(redirect("/1"), redirect("/2"), redirect("/3"), redirect("/4"), ok(CONTENT))
    assert "redirects more than 3 times" in refusal(server.url, target)
    assert server.accepted == 4


def test_a_redirect_loop_ends(serve: Serve, target: Path) -> None:
    server = serve(redirect("/data"))
    assert "redirects more than 3 times" in refusal(server.url, target)


def test_a_redirect_without_location_is_a_status(serve: Serve, target: Path) -> None:
    assert "status 302" in refusal(serve(head(302)).url, target)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/x",
        "//me:secret@127.0.0.1/",
        "http://[",
        "http://[::1",
        "http://\xe9/",
        "http://a b/",
        "/\x01",
        "https://\u00b9\u00b2\u00b7.0.0.1/",
        "/" + "x" * 9000,
    ],
)
def test_a_redirect_to_a_bad_url_is_refused(serve: Serve, target: Path, location: str) -> None:
    server = serve(redirect(location), ok(CONTENT))
    assert "URL" in refusal(server.url, target)
    assert server.accepted == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a certificate, and its key in the same file, for localhost and 127.0.0.1."""
    if which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-keyout", path, "-out", f"{path}.crt"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    with path.open("a") as file:
        file.write(Path(f"{path}.crt").read_text())
    return os.fspath(path)


@pytest.fixture
def trusted(certificate: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    return certificate


def test_a_certificate_that_nobody_knows_is_not_trusted(
    serve: Serve, target: Path, certificate: str
) -> None:
    server = serve(ok(CONTENT), tls=certificate)
    assert "certificate of its server is not trusted" in refusal(server.url, target)
    assert server.requests == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_trusted_certificate_of_that_name_is_taken(
    serve: Serve, target: Path, trusted: str, host: str
) -> None:
    server = serve(ok(CONTENT), tls=trusted)
    assert get(server.url.replace("127.0.0.1", host), target) == CONTENT


def test_a_trusted_certificate_of_another_name_is_not(
    serve: Serve, target: Path, trusted: str
) -> None:
    server = serve(ok(CONTENT), tls=trusted, host="127.0.0.2")
    assert "certificate of its server is not trusted" in refusal(server.url, target)
    assert server.requests == []


def test_a_redirect_from_https_to_http_is_refused(serve: Serve, target: Path, trusted: str) -> None:
    plain = serve(ok(CONTENT))
    server = serve(redirect(plain.url), tls=trusted)
    assert "redirects from https to http" in refusal(server.url, target)
    assert plain.accepted == 0
    upwards = serve(redirect(serve(ok(CONTENT), tls=trusted).url))
    assert get(upwards.url, target) == CONTENT


def test_a_tls_stream_without_an_end_is_incomplete(
    serve: Serve, target: Path, trusted: str
) -> None:
    assert get(serve(unsized(CONTENT), tls=trusted).url, target) == CONTENT
    target.unlink()
    assert refusal(serve(cut(unsized(CONTENT)), tls=trusted).url, target) == INCOMPLETE


def test_a_slow_handshake_does_not_outlast_the_limit(serve: Serve, target: Path) -> None:
    url = serve(drip(b"", b"\x16")).url.replace("http", "https")
    begin = time.monotonic()
    assert refusal(url, target, timeout=0.5) == UNREACHABLE
    assert time.monotonic() - begin < 3
