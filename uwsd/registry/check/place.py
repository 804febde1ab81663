"""Whether the site is where the rest of the world can reach it, under names of its own."""

import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from uwsd.registry.check.findings import Finding, Level, judged
from uwsd.registry.site import SiteFile

_RESERVED = (".example", ".invalid", ".localhost", ".test", ".local", ".internal")
_EXAMPLES = ("example.com", "example.net", "example.org")


def check_place(url: str) -> Iterator[Finding]:
    """Judge the URL under which the registry would be registered."""
    yield judged(
        "the URL is one that harvesters can reach",
        _unreachable(urlsplit(url).hostname or ""),
        "set server.base_url to the public URL of this site",
    )
    yield judged(
        "the URL is https",
        [] if url.startswith("https://") else [url],
        "put a proxy with a certificate before uwsd",
        level=Level.WARN,
    )


def check_names(site: SiteFile) -> Iterator[Finding]:
    """Judge what an administrator has to make his own."""
    yield judged(
        "the authority is a name of your own",
        [site.authority.id] if "example" in site.authority.id else [],
        "choose authority.id in registry/site.toml; it can never be changed",
    )
    yield judged(
        "the contact's address is one where somebody reads",
        [site.contact.email] if _is_example(site.contact.email.rpartition("@")[2]) else [],
        "write yours into contact.email in registry/site.toml",
    )


def _unreachable(host: str) -> Iterator[str]:
    if _is_example(host) or host == "localhost" or ("." not in host and ":" not in host):
        yield f"{host or 'no host'} is no name in the public network"
        return
    try:
        found = {str(item[4][0]) for item in socket.getaddrinfo(host, None)}
    except OSError:
        yield f"{host} has no address"
        return
    for address in sorted(found):
        if not ipaddress.ip_address(address.partition("%")[0]).is_global:
            yield f"{host} has the address {address}, which is no public one"


def _is_example(host: str) -> bool:
    name = host.lower()
    return name.endswith(_RESERVED) or any(
        name == known or name.endswith(f".{known}") for known in _EXAMPLES
    )
