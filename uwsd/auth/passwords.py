"""Passwords and their argon2id hashes; what is slow on purpose stops nobody else.

A hash takes tens of milliseconds of a processor. Under gevent it is computed in the hub's
thread pool, outside the GIL, two at a time in a process; whoever comes then waits in line.
"""

import secrets
import threading
import unicodedata
from collections.abc import Callable, Mapping

import gevent
from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError
from gevent import monkey

from uwsd.uws.errors import Unavailable

MAX_PASSWORD = 1024
"""Bytes."""

_AT_A_TIME = 2
_PATIENCE = 10.0  # seconds in line, before somebody is told that there are too many

# OWASP's parameters for argon2id: 19 MiB, two passes, one lane. The library's own would take
# half a gigabyte when every web process is at it.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)


class PasswordError(ValueError):
    """Something that cannot be a password; the text says why."""


def hashed(password: str) -> str:
    """Return the hash of a new password; raise `PasswordError` for one that cannot be sent."""
    text = unicodedata.normalize("NFC", password)  # RFC 7617 section 2.1
    if not text:
        raise PasswordError("the password is empty")
    if len(text.encode()) > MAX_PASSWORD:
        raise PasswordError(f"the password has more than {MAX_PASSWORD} bytes")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise PasswordError("the password has a control character in it, such as a newline")
    return _HASHER.hash(text)


def is_hash(text: str) -> bool:
    """Whether this looks like what `hashed` returns."""
    return text.startswith("$argon2id$") and text.isprintable() and " " not in text


class Line:
    """Where callers wait until a thread is free for something slow."""

    def __init__(self, places: int = _AT_A_TIME, patience: float = _PATIENCE) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._patience = patience

    def run(self, slow: Callable[[], bool]) -> bool:
        """Return what ``slow`` returns, which may not touch anything of gevent's."""
        if not self._places.acquire(timeout=self._patience):
            raise Unavailable("too many log in at this moment; try again")
        try:
            if monkey.is_module_patched("threading"):
                return bool(gevent.get_hub().threadpool.apply(slow))
            return slow()
        finally:
            self._places.release()


class Passwords:
    """Checks passwords against hashes."""

    def __init__(self, line: Line | None = None) -> None:
        self._line = line or Line()
        self._nobodys = _HASHER.hash(secrets.token_hex())

    def match(self, hashes: Mapping[str, str], name: str, password: bytes) -> bool:
        """Whether it is the password of ``name``; as slow for somebody who is not known."""
        if len(password) > MAX_PASSWORD:
            return False
        known = hashes.get(name)
        matches = self._line.run(lambda: _verify(known or self._nobodys, password))
        return matches and known is not None


def _verify(hash_: str, password: bytes) -> bool:
    try:
        text = unicodedata.normalize("NFC", password.decode())
        return _HASHER.verify(hash_, text)
    except (VerificationError, ValueError):  # ValueError: no UTF-8, or no hash at all
        return False
