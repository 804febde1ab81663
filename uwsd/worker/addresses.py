"""The addresses of a host, how to reach one, and which are on the public Internet."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from threading import Thread
from typing import Union

_Address = Union[tuple[str, int], tuple[str, int, int, int], tuple[int, bytes]]
Resolved = tuple[socket.AddressFamily, socket.SocketKind, int, str, _Address]
"""What getaddrinfo tells of one address."""


def resolve(host: str, port: int, *, timeout: float) -> list[Resolved]:
    """Return the addresses of the host; none if none are known after ``timeout`` seconds."""
    found: list[Resolved] = []

    def ask() -> None:
        with suppress(OSError):
            # As bytes: a str would first be prepared as an international name.
            found.extend(socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM))

    # getaddrinfo has no time limit, and a name server may be as slow as it likes.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout)
    return found.copy()


def connect(resolved: Resolved, *, timeout: float) -> socket.socket:
    """Connect to this very address; raises `OSError`."""
    family, kind, protocol, _, address = resolved
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        if sock.getpeername() != address:  # as with 0.0.0.0, which is 127.0.0.1
            raise ConnectionError
    except OSError:
        sock.close()
        raise
    return sock


def is_public(address: str) -> bool:
    """Whether the IP address is a host's on the public Internet.

    From IANA's special-purpose address registries (RFC 6890). Python's ``is_global`` changes with
    the release, and takes some addresses for global that stand for a private IPv4 address.
    """
    ip = ip_address(address)
    return any(ip in net for net in _GIVEN_OUT) and not any(ip in net for net in _SPECIAL)


def _networks(*lines: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network) for line in lines for network in line.split())


# What else there is of IPv6: ::/96, v4-mapped, NAT64, unique local, link-local, site-local,
# multicast, and what has no meaning yet.
_GIVEN_OUT = _networks("0.0.0.0/0", "2000::/3")
_SPECIAL = _networks(
    "0.0.0.0/8 127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16",  # this host, private
    "169.254.0.0/16 100.64.0.0/10",  # link-local, a carrier's NAT: also clouds' metadata
    "168.63.129.16/32",  # one cloud's metadata, though it looks public
    "192.0.0.0/24 192.88.99.0/24",  # protocol assignments, 6to4 relays
    "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 198.18.0.0/15",  # documentation, benchmarks
    "224.0.0.0/4 240.0.0.0/4",  # multicast, reserved, broadcast
    "2001::/23 2002::/16",  # protocol assignments, Teredo, ORCHID; 6to4
    "2001:db8::/32 3fff::/20 3ffe::/16",  # documentation, the former 6bone
)
