"""Putting `Authentication` into the application: ``g.caller`` before, the headers after."""

from flask import Flask, Response, current_app, g, request

from uwsd.auth.authenticators import Authentication
from uwsd.auth.origin import require_own_page
from uwsd.uws.access import ANONYMOUS, Caller, Proof
from uwsd.uws.errors import UwsError
from uwsd.uws.resources.blueprint import is_sync

EXTENSION = "uwsd.auth"

_NEVER_ASKED = frozenset({"healthz", "pages.style"})
"""Endpoints that are the same for everybody; a credential there costs nothing and tells nothing."""

_ALWAYS_ANSWERED = ("vosi", "oai")
"""The blueprints whose answers are for everybody, even with a credential that is not good."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def add_identity(app: Flask, authentication: Authentication, *, is_desk: bool) -> None:
    """Tell who sends each request; call it before anything that wants to know.

    With ``is_desk`` to be at this machine is a credential as well, and one that a browser has.
    """
    app.extensions[EXTENSION] = authentication

    @app.before_request
    def identify() -> None:
        g.caller = ANONYMOUS  # also for what is raised below
        g.caller = _caller(authentication)
        if _acts() and _browsers_add_it(g.caller, is_desk=is_desk):
            require_own_page(request)

    @app.after_request
    def tell(answer: Response) -> Response:
        if request.endpoint in _NEVER_ASKED:
            return answer
        if not g.caller.is_anonymous:
            answer.headers["X-VO-Authenticated"] = g.caller.name
        if answer.status_code == 401:
            challenge(answer)
        varies = answer.headers.get("Vary")
        identity = "Authorization, Cookie"
        answer.headers["Vary"] = f"{varies}, {identity}" if varies else identity
        return answer


def authentication() -> Authentication:
    """Return the ways to log in of this application."""
    ways: Authentication = current_app.extensions[EXTENSION]
    return ways


def challenge(answer: Response) -> None:
    """Tell in ``answer`` how one can log in; a header for each way."""
    for line in authentication().challenges():
        answer.headers.add("WWW-Authenticate", line)


def _caller(authentication: Authentication) -> Caller:
    if request.endpoint in _NEVER_ASKED:
        return ANONYMOUS
    try:
        return authentication.caller(request)
    except UwsError:
        if request.blueprint in _ALWAYS_ANSWERED:
            return ANONYMOUS
        raise


def _acts() -> bool:
    """Whether the request does something; a GET does at /sync (DALI 1.2 section 2.2)."""
    return is_sync() or request.method not in _SAFE


def _browsers_add_it(caller: Caller, *, is_desk: bool) -> bool:
    return is_desk if caller.is_anonymous else caller.proof is not Proof.TOKEN
