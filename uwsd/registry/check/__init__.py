"""``uwsd registry check``: what the Registry of Registries asks of a registry, asked here.

It talks to a registry over HTTP, ours or any other, and knows nothing of what is behind the URL.
"""

from collections.abc import Iterator

from uwsd.registry.check.findings import Finding
from uwsd.registry.check.profile import check_profile
from uwsd.registry.check.protocol import check_protocol
from uwsd.registry.check.records import check_records
from uwsd.registry.check.target import Target, Unreachable

__all__ = ["Finding", "Unreachable", "check"]


def check(url: str) -> Iterator[Finding]:
    """Check the registry whose OAI-PMH endpoint is at ``url``; yield what is found, in order.

    Raises `Unreachable` when there is no registry to talk to.
    """
    target = Target(url)
    harvest = target.harvest()
    yield from check_protocol(target, harvest)
    yield from check_profile(target, harvest)
    yield from check_records(harvest)
