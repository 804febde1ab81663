"""Inputs given by reference: which URLs may be asked, and how one is fetched.

Whoever gives a URL may want to reach what only this machine can reach. So a name is resolved
once, every address it has is judged, the connection goes to a judged address, and each redirect
starts over. A refusal reads the same for an open, a closed and a filtered port and for an address
that may not be asked, so that nobody can scan a network with it.
"""

from __future__ import annotations

import io
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin

from .addresses import connect, is_public, resolve

SCHEMES = ("https", "http")


class Refused(Exception):
    """The content is not fetched; the text is for the owner of the job."""


class Url(NamedTuple):
    """An http or https URL that is well formed."""

    scheme: str
    host: str  #: a name or an address, without brackets
    port: int
    authority: str  #: host and port as written
    target: str  #: path and query

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def check_url(url: str, schemes: Sequence[str] = SCHEMES) -> Url:
    """Take the URL apart; nothing is resolved or asked.

    Raises `Refused` unless it is as in RFC 3986 (so an international name is in its ``xn--``
    form), of one of ``schemes``, and has no user name, password or fragment.
    """
    found = _URL.fullmatch(url)
    scheme = found["scheme"].lower() if found else ""
    if found is None or scheme not in schemes:
        forms = " or ".join(f"{scheme}://host/path" for scheme in schemes)
        raise Refused(f"its URL is not of the form {forms}, without user name, #, or space")
    port = int(found["port"] or _PORTS[scheme])
    if len(url) > _LONGEST_URL or not 0 < port < 2**16:
        raise Refused("its URL is too long, or its port is not one from 1 to 65535")
    host, target = found["name"] or found["address"], found["target"]
    target = target if target.startswith("/") else f"/{target}"  # RFC 9112 3.2.1
    return Url(scheme=scheme, host=host, port=port, authority=found["authority"], target=target)


_PORTS = {"https": 443, "http": 80}
_LONGEST_URL = 8000
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<authority>(?:(?P<name>(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?)"
    r"|\[(?P<address>[0-9a-f.]*:[0-9a-f.:]+)\])(?::(?P<port>[0-9]{0,5}))?)"
    r"(?P<target>(?:[/?][!\"$-~]*)?)",
    re.ASCII | re.IGNORECASE,
)


def fetch(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    timeout: float,
    schemes: Sequence[str] = SCHEMES,
    private_addresses: bool = False,
) -> None:
    """Write what ``url`` gives to ``target``, which appears once it is whole, with mode 0600.

    ``timeout`` is in seconds, for everything. Unless ``private_addresses``, only public hosts are
    asked, at the ports 80, 443 and from 1024 on. Raises `Refused`, and then leaves nothing
    behind, or `OSError` if ``target`` cannot be written.
    """
    terms = _Terms(max_bytes, time.monotonic() + timeout, schemes, private_addresses)
    try:
        _follow(check_url(url, schemes), target, terms)
    except Refused as refusal:
        raise Refused(f"{target.name} cannot be fetched: {refusal}") from None


class _Terms(NamedTuple):
    """What one transfer may do."""

    max_bytes: int
    deadline: float  #: on the monotonic clock
    schemes: Sequence[str]
    private_addresses: bool

    def left(self) -> float:
        """Return the seconds left, or raise `TimeoutError`."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def allow(self, size: int) -> None:
        """Raise `Refused` if this is more than may come."""
        if size > self.max_bytes:
            raise Refused(f"it is larger than {self.max_bytes} bytes")


_INCOMPLETE = "its server did not send all of it"
_MAX_REDIRECTS = 3


def _follow(url: Url, target: Path, terms: _Terms) -> None:
    for _ in range(1 + _MAX_REDIRECTS):
        with _answer(url, terms) as response:
            location = response.getheader("Location")
            if response.status not in {301, 302, 303, 307, 308} or not location:
                _save(response, target, terms)
                return
        url = _redirected(url, location, terms)
    raise Refused(f"its server redirects more than {_MAX_REDIRECTS} times")


def _redirected(url: Url, location: str, terms: _Terms) -> Url:
    try:
        there = check_url(urldefrag(urljoin(str(url), location)).url, terms.schemes)
    except ValueError:
        raise Refused("its server redirects to what is no URL") from None
    if url.scheme == "https" and there.scheme != "https":
        raise Refused("its server redirects from https to http")
    return there


@contextmanager
def _answer(url: Url, terms: _Terms) -> Iterator[HTTPResponse]:
    with ExitStack() as stack:
        try:
            sock = stack.enter_context(_secured(_connected(url, terms), url, terms))
            response = _asked(sock, url, terms)
        except ssl.SSLCertVerificationError:
            raise Refused("the certificate of its server is not trusted") from None
        except (OSError, HTTPException):
            raise Refused("its server cannot be reached, or may not be asked") from None
        yield response


def _connected(url: Url, terms: _Terms) -> socket.socket:
    found = resolve(url.host, url.port, timeout=terms.left())
    port_is_fine = url.port in _PORTS.values() or url.port >= 1024
    public = port_is_fine and all(is_public(str(address[0])) for *_, address in found)
    if public or terms.private_addresses:
        for resolved in found[:3]:
            with suppress(OSError):
                return connect(resolved, timeout=min(terms.left(), 10))
    raise ConnectionError


def _secured(sock: socket.socket, url: Url, terms: _Terms) -> socket.socket:
    if url.scheme == "http":
        return sock
    with sock:  # the one that is returned takes its descriptor over
        sock.settimeout(terms.left())
        # What has no length may have been cut by a stranger if TLS is not ended (RFC 9112 9.8).
        return ssl.create_default_context().wrap_socket(
            sock, server_hostname=url.host, suppress_ragged_eofs=False
        )


def _asked(sock: socket.socket, url: Url, terms: _Terms) -> HTTPResponse:
    request = (
        f"GET {url.target} HTTP/1.1\r\nHost: {url.authority}\r\nUser-Agent: uwsd\r\n"
        "Accept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    sock.settimeout(terms.left())
    sock.sendall(request.encode())
    response = HTTPResponse(sock, method="GET")
    response.fp = io.BufferedReader(_Wire(sock, terms))
    response.begin()
    return response


class _Wire(io.RawIOBase):
    """What comes from a server, in time: a socket's own file allows its time to every byte."""

    def __init__(self, sock: socket.socket, terms: _Terms) -> None:
        self._sock = sock
        self._terms = terms
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._sock.settimeout(self._terms.left())
        size = self._sock.recv_into(buffer)
        self._size += size
        # Headers and the framing of chunks may be as much again as the content, and 64 KiB.
        self._terms.allow((self._size - 2**16) // 2)
        return size


def _save(response: HTTPResponse, target: Path, terms: _Terms) -> None:
    if response.status != 200:
        raise Refused(f"its server answered with status {response.status}")
    transfer_coded = "Transfer-Encoding" in response.headers and not response.chunked
    if transfer_coded or response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise Refused("its server sends it compressed")
    terms.allow(response.length or 0)
    with NamedTemporaryFile(dir=target.parent, prefix=".fetch-", delete=False) as file:
        try:
            for piece in _pieces(response, terms):
                file.write(piece)
            file.flush()
            Path(file.name).rename(target)
        except BaseException:
            Path(file.name).unlink()
            raise


def _pieces(response: HTTPResponse, terms: _Terms) -> Iterator[memoryview]:
    expected, size = response.length, 0
    # Not read(): that takes a chunk whose size is "-1" into memory as a whole.
    buffer = memoryview(bytearray(2**16))
    try:
        while read := response.readinto(buffer):
            size += read
            terms.allow(size)
            yield buffer[:read]
    except TimeoutError:
        raise Refused("it takes too long") from None
    except (OSError, HTTPException):
        raise Refused(_INCOMPLETE) from None
    if expected is not None and size < expected:
        raise Refused(_INCOMPLETE)
