"""The edge of the network: what a request must look like before anything reads it.

Here, and only here, is decided under which absolute URL a request came in: from the
configured ``base_url``; without one, from a Host that is a loopback name with the port that
is listened on. Headers in which a proxy tells of the client count only from a proxy that the
configuration names.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from uwsd.loopback import is_loopback

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FROM_PROXY = "uwsd.from_proxy"
"""The key under which a WSGI environment tells that a trusted proxy has sent the request."""

_SLASHES = re.compile("//+")
_LABEL = "[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(rf"(?P<name>\[[0-9A-Fa-f:.]+\]|{_LABEL}(\.{_LABEL})*)(:(?P<port>[0-9]{{1,5}}))?")
_DATE = "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
_UNDERSTOOD = {
    "HTTP_RANGE": re.compile("bytes=([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})"),
    "HTTP_IF_RANGE": re.compile(rf'{_DATE}|(W/)?"[^"]*"'),
    "HTTP_IF_MODIFIED_SINCE": re.compile(_DATE),
    "HTTP_IF_UNMODIFIED_SINCE": re.compile(_DATE),
}
"""Headers that do not count when they are of another form (RFC 9110, sections 13.1 and 14.2)."""
_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_", "HTTP_X_REAL_IP", "HTTP_X_SCRIPT_NAME")


class Refused(Exception):
    """The request is not let in; the text says why."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Edge:
    """WSGI middleware around the whole application."""

    def __init__(
        self, app: "WSGIApplication", *, base_url: str = "", proxies: Sequence[Network] = ()
    ) -> None:
        self._app = app
        self._behind_proxy = ProxyFix(self._enter, x_for=1, x_proto=1, x_host=1, x_prefix=1)
        self._base_url = base_url.rstrip("/")
        self._prefix = urlsplit(self._base_url).path
        self._proxies = tuple(proxies)

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Let a request in, or say why not."""
        try:
            if _comes_from(environ.get("REMOTE_ADDR", ""), self._proxies):
                environ[FROM_PROXY] = True
                return self._behind_proxy(environ, start)
            _drop_forwarded(environ)
            return self._enter(environ, start)
        except Refused as refusal:
            answer = Response(f"{refusal}\n", refusal.status, mimetype="text/plain")
            answer.headers["X-Content-Type-Options"] = "nosniff"
            return answer(environ, start)

    def _enter(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
            raise Refused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding"
            )
        path = environ["PATH_INFO"] = _tidy(environ.get("PATH_INFO", ""))
        environ["uwsd.base_url"] = self._base_url or _own_base_url(environ)
        if self._prefix and (path + "/").startswith(self._prefix + "/"):
            environ["PATH_INFO"] = path.removeprefix(self._prefix) or "/"
        environ["SCRIPT_NAME"] = ""
        _drop_strange(environ)
        return self._app(environ, start)


def _tidy(path: str) -> str:
    """Collapse slashes and drop one at the end; a POST would not survive a redirect."""
    return _SLASHES.sub("/", "/" + path).rstrip("/") or "/"


def _own_base_url(environ: "WSGIEnvironment") -> str:
    host, prefix = environ.get("HTTP_HOST", ""), environ.get("SCRIPT_NAME", "")
    name, port = _host_parts(host)
    if not environ.get(FROM_PROXY) and (not is_loopback(name) or port != environ["SERVER_PORT"]):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "this server answers on a loopback name with its port only; "
            "to reach it under another one, set server.base_url",
        )
    return f"{environ['wsgi.url_scheme']}://{host}{_SLASHES.sub('/', prefix).rstrip('/')}"


def _host_parts(host: str) -> tuple[str, str]:
    """Return the name and the port of a Host, or refuse what cannot be part of a URL."""
    match = _HOST.fullmatch(host)
    if match is None or (host.startswith("[") and not _is_address(match["name"][1:-1])):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{host[:80]!r} is no Host; set server.base_url")
    return match["name"], match["port"] or "80"


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _comes_from(address: str, networks: Sequence[Network]) -> bool:
    try:
        return any(ipaddress.ip_address(address) in network for network in networks)
    except ValueError:
        return False


def _drop_forwarded(environ: "WSGIEnvironment") -> None:
    for name in [name for name in environ if name.startswith(_FORWARDED)]:
        del environ[name]
    environ["SCRIPT_NAME"] = ""


def _drop_strange(environ: "WSGIEnvironment") -> None:
    for name, form in _UNDERSTOOD.items():
        if name in environ and not form.fullmatch(environ[name]):
            del environ[name]
            if name == "HTTP_IF_RANGE":  # a condition that does not hold: no part, but the whole
                environ.pop("HTTP_RANGE", None)
