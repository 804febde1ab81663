"""Fetching by reference: nothing leads inside, and nothing tells what is there."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.worker.conftest import CONTENT, UNREACHABLE, Serve, get, refusal
from tests.worker.oddserver import Server, ok, redirect, silent
from uwsd.worker.fetch import Refused, check_url, fetch

LONG = "a" * 64


@pytest.fixture
def one_public(monkeypatch: pytest.MonkeyPatch) -> str:
    """Take one loopback address for a public one: there is no other on a test machine."""
    monkeypatch.setattr("uwsd.worker.fetch.is_public", "127.0.0.2".__eq__)
    return "127.0.0.2"


def test_a_redirect_to_a_private_address_is_refused(
    serve: Serve, target: Path, one_public: str
) -> None:
    inside = serve(ok(CONTENT))
    outside = serve(redirect(inside.url), host=one_public)
    assert refusal(outside.url, target, private=False) == UNREACHABLE
    assert (outside.accepted, inside.accepted) == (1, 0)
    good = serve(redirect("/next"), ok(CONTENT), host=one_public)
    fetch(good.url, target, max_bytes=len(CONTENT), timeout=10)
    assert target.read_bytes() == CONTENT


def on_one_port(serve: Serve, host: str) -> tuple[Server, Server]:
    """Serve on ``host`` and on this machine, on a port that is free at both."""
    while True:
        outside = serve(ok(b"public"), host=host)
        with suppress(OSError):  # somebody has the port at the other address
            return outside, serve(ok(b"secret"), port=outside.port)


def test_a_name_that_changes_its_address_is_asked_for_once(
    serve: Serve, target: Path, one_public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside = on_one_port(serve, one_public)
    asked: list[object] = []

    def rebinding(host: object, *_: object, **__: object) -> list[object]:
        asked.append(host)
        address = one_public if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, outside.port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://rebinding.example:{outside.port}/"
    fetch(url, target, max_bytes=10, timeout=10)
    assert target.read_bytes() == b"public"
    assert asked == [b"rebinding.example"]
    assert outside.requests[0].startswith(b"GET / HTTP/1.1\r\nHost: rebinding.example:")
    target.unlink()
    assert refusal(url, target, private=False) == UNREACHABLE
    assert inside.accepted == 0


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_one_private_address_among_public_ones_is_enough_to_refuse(
    serve: Serve, target: Path, one_public: str, monkeypatch: pytest.MonkeyPatch, order: slice
) -> None:
    outside = serve(ok(CONTENT), host=one_public)

    def both(*_: object, **__: object) -> list[object]:
        addresses = [(host, outside.port) for host in (one_public, "127.0.0.1")[order]]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    url = f"http://both.example:{outside.port}/"
    assert refusal(url, target, private=False) == UNREACHABLE
    assert outside.accepted == 0


def test_the_next_address_of_a_host_is_tried(
    serve: Serve, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(ok(CONTENT))

    def several(*_: object, **__: object) -> list[object]:
        addresses = [(host, server.port) for host in ("127.0.0.3", "127.0.0.1")]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", several)
    assert get(f"http://several.example:{server.port}/", target) == CONTENT


def test_every_kind_of_port_is_refused_with_the_same_words(
    serve: Serve, target: Path, one_public: str
) -> None:
    def greet(connection: socket.socket, _: Server) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9\r\n")

    def reset(connection: socket.socket, _: Server) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    with _closed(one_public) as closed, _filtered(one_public) as filtered:
        urls = {
            "private": serve(ok(CONTENT)).url,
            "closed": f"http://{closed}/",
            "closed, TLS": f"https://{closed}/",
            "filtered": f"http://{filtered}/",
            "another service": serve(greet, host=one_public).url,
            "reset": serve(reset, host=one_public).url,
            "empty": serve(b"", host=one_public).url,
            "silent": serve(silent, host=one_public).url,
            "not TLS": serve(greet, host=one_public).url.replace("http", "https"),
            "no such name": "http://nowhere.invalid/",
            "port of mail": f"http://{one_public}:25/",
        }
        said = {name: refusal(url, target, private=False, timeout=1) for name, url in urls.items()}
    assert said == dict.fromkeys(urls, UNREACHABLE)


def test_a_filtered_port_does_not_outlast_the_limit(target: Path) -> None:
    with _filtered("127.0.0.1") as filtered:
        begin = time.monotonic()
        assert refusal(f"http://{filtered}/", target, timeout=0.5) == UNREACHABLE
        assert time.monotonic() - begin < 5


@contextmanager
def _closed(host: str) -> Iterator[str]:
    with socket.socket() as bound:
        bound.bind((host, 0))
        yield f"{host}:{bound.getsockname()[1]}"


@contextmanager
def _filtered(host: str) -> Iterator[str]:
    """Listen with a full queue, so that the kernel drops every further SYN."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind((host, 0))
        listener.listen(0)
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"{host}:{listener.getsockname()[1]}"


@pytest.mark.parametrize("port", [1, 21, 22, 23, 25, 53, 110, 143, 389, 445, 631, 873, 1023])
def test_ports_of_other_services_are_never_asked(
    target: Path, one_public: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("uwsd.worker.fetch.connect", lambda *_, **__: asked.append(port))
    assert refusal(f"http://{one_public}:{port}/", target, private=False) == UNREACHABLE
    assert asked == []


LOCAL = [
    *("127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "127.1", "127.0.1", "0", "0.0"),
    *("2130706433", "017700000001", "0x7f000001", "0X7F000001", "0x7f.1", "0177.1", "0x7F.0.0.1"),
    *("0177.0.0.1", "0177.0.0.01", "0177.0x0.0.1", "127.0x1", "127.0.0x1", "00000177.0.0.1"),
    *("0x000000007f000001", "0x7f.0x0.0x0.0x1", "127.00000.00001", "127.0x000001", "127.65535"),
    *("localhost", "LOCALHOST", "LocalHost", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]"),
    *("[0000:0000:0000:0000:0000:0000:0000:0001]", "[::]", "[0::0]", "[0::1]", "[::0:1]"),
    *("[::ffff:127.0.0.1]", "[::FFFF:7F00:1]", "[::ffff:7f00:0001]", "[0:0:0:0:0:ffff:127.0.0.1]"),
    *("[::127.0.0.1]", "[::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[2002:7f00:1::]", "[2002:7f00:0001::1]", "[2001:0:7f00:1::]", "[::ffff:0:127.0.0.1]"),
    *("[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[ff01::1]"),
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "2852039166"),
    *("0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]"),
    *("100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "255.255.255.255"),
]

MALFORMED = [
    *("①②⑦.0.0.1", "１２７.0.0.1", "127。0。0。1", "127．0．0．1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "loc\u00adalhost"),
    *("LOCALHOſT", "١٢٧.0.0.1", "%31%32%37.0.0.1", "127.0.0.1%00", "127.0.0.1%2f", "localhos%74"),
    *("user@127.0.0.1", "user:secret@127.0.0.1", "@127.0.0.1", ":@127.0.0.1", "8.8.8.8@127.0.0.1"),
    *("8.8.8.8\\@127.0.0.1", "127.0.0.1\\", "127.0.0.1#@8.8.8.8", "8.8.8.8 @127.0.0.1"),
    *("127.0.0.1\t", "127.0.\t0.1", "127.0.0.1\n", "127.0.0.1\r\nX: y", "127.0.0.1\0"),
    *(" 127.0.0.1", "127.0.0.1 ", "127.0.0.1\x7f", "127.0.0.1\u202e", "127.0.0.1\ufeff"),
    *("[::1", "::1", "[::1]]", "evil[::1]", "[::1]evil", "[[::1]]", "[::1%25lo]", "[::1%lo]"),
    *("[127.0.0.1]", "[localhost]", "[v1.::1]", "[]", "", ".", ".localhost", "a..b", "-|-", "*"),
    *("127.0.0.1,8.8.8.8", "127.0.0.1;8.8.8.8", "$(id)", "`id`", "{localhost}", "<localhost>"),
    *("127.0.0.1:80:80", "127.0.0.1:x", "127.0.0.1:-1", "127.0.0.1:+80", "127.0.0.1:8_0"),
    *("127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1:000080", "127.0.0.1:８０", LONG, f"a.{LONG}"),
]


@contextmanager
def _anywhere() -> Iterator[tuple[socket.socket, int]]:
    """Listen on every address of this machine; nothing accepts, so that nothing is missed."""
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        if socket.has_dualstack_ipv6()
        else socket.create_server(("0.0.0.0", 0)) as listener
    ):
        listener.setblocking(False)
        yield listener, listener.getsockname()[1]


@pytest.mark.parametrize("host", LOCAL)
def test_no_form_of_an_address_leads_inside(host: str, target: Path) -> None:
    with _anywhere() as (listener, port):
        assert check_url(f"http://{host}:{port}/").port == port
        for scheme in ("http", "https"):
            reason = refusal(f"{scheme}://{host}:{port}/", target, private=False, timeout=5)
            assert reason == UNREACHABLE
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_listener_of_these_tests_hears_a_connection(target: Path) -> None:
    with _anywhere() as (listener, port):
        assert refusal(f"http://localhost:{port}/", target, timeout=0.5) == UNREACHABLE
        connection, _ = listener.accept()
        connection.close()


@pytest.mark.parametrize("authority", MALFORMED)
def test_a_malformed_host_is_refused_at_the_door(authority: str, target: Path) -> None:
    with pytest.raises(Refused):
        check_url(f"http://{authority}/x")
    assert "its URL" in refusal(f"http://{authority}/x", target)
