"""Fetching by reference: which URLs are taken at the door."""

from pathlib import Path

import pytest

from tests.worker.conftest import CONTENT, Serve
from tests.worker.oddserver import ok
from uwsd.worker.fetch import Refused, check_url, fetch


@pytest.mark.parametrize(
    "url",
    [
        *("", "/", "data", "//127.0.0.1/", "http:", "http:/", "http://", "http:///x", "http:x"),
        *("http:127.0.0.1", "http:/127.0.0.1/", "http//127.0.0.1", "http:\\\\127.0.0.1", "://x"),
        *("file:///etc/passwd", "file://localhost/etc/passwd", "ftp://127.0.0.1/", "vos://a/b"),
        *("gopher://127.0.0.1/_x", "dict://127.0.0.1/", "data:,x", "jar:http://127.0.0.1!/x"),
        *("javascript:alert(1)", "unix:///run/x", "ws://127.0.0.1/", "hTTps+unix://x/", "ldap://x"),
        *(" http://x/", "http://x/ ", "\thttp://x/", "http://x/\n", "ht\ntp://x/", "http://x/a b"),
        *("http://x/\r\nX: y", "http://x/\0", "http://x/\x7f", "http://x/é", "http://x/\u202e"),
        *("http://x/#", "http://x/#a", "http://x#", "http://x?#a", "url:http://x/", "<http://x/>"),
        "http://x/" + "y" * 8000,
    ],
)
def test_what_is_no_plain_url_is_refused_at_the_door(url: str) -> None:
    with pytest.raises(Refused, match=r"^its URL"):
        check_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "wanted"),
    [
        ("http://example.org", "example.org", 80, "/"),
        ("https://example.org/", "example.org", 443, "/"),
        ("HTTPS://EXAMPLE.org:8443/A/b?c=D&e", "EXAMPLE.org", 8443, "/A/b?c=D&e"),
        ("http://example.org?a=/b@c:d", "example.org", 80, "/?a=/b@c:d"),
        ("http://example.org:/x", "example.org", 80, "/x"),
        ("http://xn--bcher-kva.example/%C3%A9", "xn--bcher-kva.example", 80, "/%C3%A9"),
        ("http://my_host-1.local.:1/", "my_host-1.local.", 1, "/"),
        ("http://8.8.8.8:65535//x/../y", "8.8.8.8", 65535, "//x/../y"),
        ("http://[2606:4700::1111]:80/", "2606:4700::1111", 80, "/"),
        ('http://x/a|b{c}"d"<e>^`f\\g', "x", 80, '/a|b{c}"d"<e>^`f\\g'),
    ],
)
def test_a_good_url_is_taken_apart(url: str, host: str, port: int, wanted: str) -> None:
    checked = check_url(url)
    assert (checked.host, checked.port, checked.target) == (host, port, wanted)
    assert check_url(str(checked)) == checked


def test_a_scheme_can_be_left_out(serve: Serve, target: Path) -> None:
    assert check_url("https://x/", ["https"]).scheme == "https"
    with pytest.raises(Refused, match="of the form https://host/path, without"):
        check_url("http://x/", ["https"])
    server = serve(ok(CONTENT))
    with pytest.raises(Refused, match="of the form https://"):
        fetch(server.url, target, max_bytes=9, timeout=9, schemes=["https"], private_addresses=True)
    assert server.accepted == 0
