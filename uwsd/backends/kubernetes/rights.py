"""Whether the backend can work: somebody is there, we may do what we do, there is a volume."""

import time
from collections.abc import Iterator
from pathlib import Path

from uwsd.backends.base import Unreachable
from uwsd.backends.kubernetes.api import Api
from uwsd.backends.kubernetes.options import Options

_NEEDED = (
    *(("batch", "jobs", verb) for verb in ("create", "get", "list", "watch", "patch", "delete")),
    *(("", "pods", verb) for verb in ("list", "watch", "delete")),
    ("", "events", "list"),
)
"""What the server's account does in its namespace; `examples/sites/kubernetes/rbac.yaml`."""

_PACE = 5.0  #: seconds between two questions
_LONG = 60.0  #: seconds after which everything is looked at again


class Rights:
    """Looks now and then, and remembers what it saw."""

    def __init__(self, api: Api, options: Options, root: Path) -> None:
        self._api = api
        self._options = options
        self._root = root
        self._said: str | None = None
        self._next = 0.0
        self._everything = 0.0

    def check(self) -> str | None:
        """Say why the backend cannot work, or None; raise `Unreachable`."""
        now = time.monotonic()
        if now >= self._everything or (self._said and now >= self._next):
            self._said = next(self._faults(), None)
            self._everything, self._next = now + _LONG, now + _PACE
        elif now >= self._next:
            self._api.may("create", "batch", "jobs")
            self._next = now + _PACE
        return self._said

    def _faults(self) -> Iterator[str]:
        claim, mount = self._options.claim, self._options.claim_mount
        if not claim:
            yield "it has no volume: say with `claim` which one holds the data folder"
        if not self._root.is_relative_to(mount):
            yield f"the data folder {self._root} is not below `claim_mount`, which is {mount}"
        namespace = self._api.namespace
        for group, resource, verb in _NEEDED:
            if not self._api.may(verb, group, resource):
                yield f"its account may not {verb} {resource} in the namespace {namespace}"
        try:
            found = self._api.claim(claim)
        except Unreachable:  # it need not be allowed to look
            return
        if found is None:
            yield f"there is no PersistentVolumeClaim {claim} in the namespace {namespace}"
