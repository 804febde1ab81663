"""The ways to show who one is, tried in a fixed order.

The first one whose credential is in the request decides. A credential that is there and is
not good is refused and never taken for none, or an expired one would make a user's next job
an anonymous one. Another way to log in, such as a token, is one more `Authenticator`.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from werkzeug.wrappers import Request

from uwsd.uws.access import ANONYMOUS, Caller
from uwsd.uws.errors import BadRequest, Unauthorized

_NOBODY = re.compile(r"\s*(basic\s+Og==\s*)?", re.IGNORECASE)
"""An empty name with an empty password: how some clients write that they have neither."""

_TWO = re.compile(r"\A\s*(basic|bearer)\b[^,]*,|,\s*(basic|bearer)\s", re.IGNORECASE)
"""What a web server makes of two Authorization headers: one, with a comma."""


class Authenticator(Protocol):
    """One way to show who one is."""

    @property
    def challenge(self) -> str | None:
        """What WWW-Authenticate says of it (RFC 9110 section 11.6.1), if one can log in so."""

    @property
    def security_method(self) -> str | None:
        """Its identifier in a registry record (SSO 2.0 section 3), if it has one."""

    def changed(self) -> float:
        """Return when these two have changed last, in seconds since 1970; 0: never."""

    def authenticate(self, request: Request) -> Caller | None:
        """Return who it is, or None without a credential of this kind.

        Raises `Unauthorized` for one that is not good.
        """


class Authentication:
    """All the ways of a site to show who one is."""

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self._authenticators = tuple(authenticators)

    def caller(self, request: Request) -> Caller:
        """Return who sent ``request``; raise for a credential that is not good."""
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        if header and _TWO.search(header):
            raise BadRequest("send one Authorization header")
        for authenticator in self._authenticators:
            caller = authenticator.authenticate(request)
            if caller is not None:
                return caller
        if not header or _NOBODY.fullmatch(header):
            return ANONYMOUS
        raise Unauthorized("nobody can log in with this kind of Authorization here; send none")

    def challenges(self) -> tuple[str, ...]:
        """Return the challenges of all ways that have one, in their order."""
        found = (authenticator.challenge for authenticator in self._authenticators)
        return tuple(challenge for challenge in found if challenge is not None)

    def security_methods(self) -> tuple[str, ...]:
        """Return the identifiers of the ways that a client could choose from."""
        found = (a.security_method for a in self._authenticators if a.challenge is not None)
        return tuple(method for method in found if method is not None)

    def changed(self) -> float:
        """Return when the answers of the two above have changed last."""
        return max((a.changed() for a in self._authenticators), default=0.0)
