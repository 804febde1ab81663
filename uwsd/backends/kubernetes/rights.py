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

_FOR_STAGING = tuple(("", "secrets", verb) for verb in ("create", "patch"))

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

    @property
    def fault(self) -> str:
        """What is wrong with the options themselves."""
        if not self._options.claim:
            missing = "say with `claim` which volume holds the data folder, or set `staging_image`"
            return "" if self._options.staging_image else missing
        mount = self._options.claim_mount
        if self._root.is_relative_to(mount):
            return ""
        return f"the data folder {self._root} is not below `claim_mount`, which is {mount}"

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
        if self.fault:
            yield self.fault
        namespace, claim = self._api.namespace, self._options.claim
        for group, resource, verb in _NEEDED if claim else (*_NEEDED, *_FOR_STAGING):
            if not self._api.may(verb, group, resource):
                yield f"its account may not {verb} {resource} in the namespace {namespace}"
        if not claim:
            return
        try:
            found = self._api.claim(claim)
        except Unreachable:  # it need not be allowed to look
            return
        if found is None:
            yield f"there is no PersistentVolumeClaim {claim} in the namespace {namespace}"
