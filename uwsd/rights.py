"""Who may come in, as the configuration says: ways to log in, and what anonymous callers may do."""

from collections.abc import Mapping

from uwsd.auth.authenticators import Authentication, Authenticator
from uwsd.auth.basic import Basic
from uwsd.auth.passwords import Passwords
from uwsd.auth.proxy import ProxyUser
from uwsd.auth.users import Users
from uwsd.config import Settings
from uwsd.uws.access import AnonymousRights


def authentication(settings: Settings) -> Authentication:
    """Return the ways to log in, in the order in which they are tried."""
    ways: list[Authenticator] = [Basic(Users(settings.users_file), Passwords())]
    if settings.auth.proxy_header:
        secret = settings.auth.proxy_secret.get_secret_value()
        ways.append(ProxyUser(settings.auth.proxy_header, secret))
    return Authentication(ways)


def anonymous_rights(settings: Settings) -> Mapping[str, AnonymousRights]:
    """Return what anonymous callers may do at each service."""
    auth, is_desk = settings.auth, settings.server.is_desk
    return {
        name: AnonymousRights(
            may_create=_first_said(service.anonymous, auth.anonymous, is_desk),
            may_list=_first_said(auth.list_anonymous, is_desk),
            may_fetch=service.fetch.anonymous,
        )
        for name, service in settings.services.items()
    }


def _first_said(*options: bool | None) -> bool:
    return next(option for option in options if option is not None)
