"""Fetching by reference: neither more nor longer than allowed, from whatever server."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.conftest import CONTENT, INCOMPLETE, LATE, UNREACHABLE, Serve, get, refusal
from tests.worker.oddserver import (
    CHUNKED,
    Answer,
    Server,
    chunked,
    drip,
    endless,
    head,
    ok,
    redirect,
    silent,
    unsized,
)


@pytest.mark.parametrize("frame", [ok, unsized, chunked])
def test_the_limit_is_exact(serve: Serve, target: Path, frame: Callable[[bytes], bytes]) -> None:
    assert get(serve(frame(CONTENT)).url, target) == CONTENT
    target.unlink()
    url = serve(frame(CONTENT + b"1")).url
    assert refusal(url, target) == f"FILE cannot be fetched: it is larger than {len(CONTENT)} bytes"


def test_a_length_over_the_limit_is_refused_before_any_content(serve: Serve, target: Path) -> None:
    server = serve(drip(head(200, b"Content-Length: 99999999999999999999"), b""))
    begin = time.monotonic()
    assert "larger than" in refusal(server.url, target)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "answer",
    [
        endless(CHUNKED, b"10\r\n0123456789abcdef\r\n"),
        endless(CHUNKED, b"1;" + b"x" * 60000 + b"\r\ny\r\n"),
        endless(head(200), b"x"),
        endless(head(200, b"Content-Length: nonsense"), b"x"),
    ],
    ids=["chunks", "extensions", "unsized", "nonsense"],
)
def test_what_never_ends_is_too_large(serve: Serve, target: Path, answer: Answer) -> None:
    assert "larger than" in refusal(serve(answer).url, target)


@pytest.mark.parametrize(
    "answer",
    [endless(CHUNKED + b"0\r\n", b"Trailer: more\r\n"), endless(b"", head(100))],
    ids=["trailers", "100"],
)
def test_what_never_ends_without_content_is_refused(
    serve: Serve, target: Path, answer: Answer
) -> None:
    # Some releases of Python count these themselves, and then the words are others.
    assert refusal(serve(answer).url, target, timeout=60)


@pytest.mark.parametrize(
    "answer",
    [
        head(200, b"X: " + b"x" * 70000),
        head(200, *(b"X-%d: x" % number for number in range(200))),
        endless(b"HTTP/1.1 200 ", b"x"),
        endless(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
    ],
    ids=["a long header", "many headers", "endless status", "endless headers"],
)
def test_huge_headers_are_refused(serve: Serve, target: Path, answer: Answer) -> None:
    assert refusal(serve(answer).url, target) == UNREACHABLE


@pytest.mark.parametrize(
    "answer",
    [
        ok(CONTENT)[:-1],
        chunked(CONTENT)[:-5],
        chunked(CONTENT)[:-500],
        CHUNKED,
        CHUNKED + b"nonsense\r\n",
        CHUNKED + b"5\r\n01",
        endless(CHUNKED + b"-1\r\n", b"x"),
    ],
)
def test_content_that_is_not_whole_is_refused(serve: Serve, target: Path, answer: Answer) -> None:
    assert refusal(serve(answer).url, target) == INCOMPLETE


@pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b"br", b"identity, gzip", b"GZIP", b""])
def test_compressed_content_is_refused(serve: Serve, target: Path, coding: bytes) -> None:
    assert "compressed" in refusal(serve(ok(b"x", b"Content-Encoding: " + coding)).url, target)


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"identity", b"chunked "])
def test_a_strange_transfer_coding_is_refused(serve: Serve, target: Path, coding: bytes) -> None:
    server = serve(unsized(b"1\r\nx\r\n0\r\n\r\n", b"Transfer-Encoding: " + coding))
    assert "compressed" in refusal(server.url, target)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (silent, UNREACHABLE),
        (drip(b"", b"H"), UNREACHABLE),
        (drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"), UNREACHABLE),
        (drip(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n", every=0.1), UNREACHABLE),
        (drip(b"", head(100)), UNREACHABLE),
        (drip(head(200, b"Content-Length: 9999"), b"x"), LATE),
        (drip(head(200), b"x"), LATE),
        (drip(CHUNKED, b"1\r\nx\r\n"), LATE),
        (drip(CHUNKED, b"0"), LATE),
        (drip(CHUNKED + b"1;", b"x"), LATE),
        (drip(CHUNKED + b"0\r\n", b"T: x\r\n"), LATE),
    ],
)
def test_a_slow_server_does_not_outlast_the_limit(
    serve: Serve, target: Path, answer: Answer, reason: str
) -> None:
    url = serve(answer).url
    begin = time.monotonic()
    assert refusal(url, target, timeout=0.5) == reason
    assert 0.4 < time.monotonic() - begin < 3


def test_the_limit_counts_for_all_redirects_together(serve: Serve, target: Path) -> None:
    def slow(connection: socket.socket, server: Server) -> None:
        server.over.wait(0.3)
        connection.sendall(redirect("/again"))

    assert refusal(serve(slow).url, target, timeout=0.5) == UNREACHABLE
