"""HTTP Basic (RFC 7617) against the users' file."""

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from werkzeug.wrappers import Request

from uwsd.auth.passwords import Passwords
from uwsd.auth.users import Users, UsersError
from uwsd.uws.access import Caller, Proof
from uwsd.uws.errors import Unauthorized, Unavailable

_MINUTES = 5 * 60.0
_REMEMBERED = 1000


class Remembered:
    """The credentials that were good a short while ago, as nothing that they can be read from."""

    def __init__(self, seconds: float = _MINUTES, size: int = _REMEMBERED) -> None:
        self._key = secrets.token_bytes(32)
        self._seconds = seconds
        self._size = size
        self._known: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def add(self, credential: bytes, name: str) -> None:
        """Remember that a credential is that of ``name``."""
        self._known[self._mark(credential)] = name, time.monotonic() + self._seconds
        if len(self._known) > self._size:
            self._known.popitem(last=False)

    def find(self, credential: bytes) -> str | None:
        """Return whose credential it is, if that is remembered."""
        mark = self._mark(credential)
        name, until = self._known.get(mark, (None, 0.0))
        if name is not None and until < time.monotonic():
            self._known.pop(mark, None)
            return None
        return name

    def _mark(self, credential: bytes) -> bytes:
        return hmac.digest(self._key, credential, hashlib.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edition:
    """One state of the users' file, and the credentials that were good by it."""

    hashes: Mapping[str, str]
    remembered: Remembered = field(default_factory=Remembered)


class Basic:
    """Names and passwords; nobody can log in so before the file has a user."""

    security_method = "ivo://ivoa.net/sso#BasicAA"

    def __init__(self, users: Users, passwords: Passwords) -> None:
        self._users = users
        self._passwords = passwords
        self._edition = _Edition(hashes={})

    @property
    def challenge(self) -> str | None:
        """What WWW-Authenticate says of it."""
        return 'Basic realm="uwsd", charset="UTF-8"' if self._is_on() else None

    def changed(self) -> float:
        """Return when there may have been a first user, or none any more."""
        return self._users.changed()

    def authenticate(self, request: Request) -> Caller | None:
        """Return whose name and password these are."""
        scheme, _, credential = request.environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
        credential = credential.strip()
        if scheme.lower() != "basic" or credential == "Og==" or not self._is_on():
            return None
        name = self._name(credential.encode("latin-1"))
        if name is None:
            raise Unauthorized("the name or the password is wrong")
        return Caller(name=name, proof=Proof.PASSWORD)

    def _is_on(self) -> bool:
        try:
            return bool(self._users.hashes())
        except UsersError:
            return True

    def _name(self, credential: bytes) -> str | None:
        edition = self._current()
        if (known := edition.remembered.find(credential)) is not None:
            return known
        name, password = _parts(credential)
        if not self._passwords.match(edition.hashes, name, password):
            return None
        # If the file has changed meanwhile, this edition is not asked any more.
        edition.remembered.add(credential, name)
        return name

    def _current(self) -> _Edition:
        try:
            hashes = self._users.hashes()
        except UsersError:
            raise Unavailable("nobody can log in now; the log of the server tells why") from None
        if hashes is not self._edition.hashes:
            self._edition = _Edition(hashes=hashes)
        return self._edition


def _parts(credential: bytes) -> tuple[str, bytes]:
    """Return the name and the password; what is neither is a name that nobody has."""
    try:
        name, _, password = base64.b64decode(credential, validate=True).partition(b":")
    except binascii.Error:
        return "", b""
    return name.decode("latin-1"), password
