"""Keeping pages of other sites from acting with the credentials that a browser adds by itself.

UWS's requests are plain forms, which any page may send anywhere. Browsers say from where:
in ``Origin``, and in ``Sec-Fetch-Site`` where there is none. Other clients say neither.
"""

from urllib.parse import urlsplit

from werkzeug.wrappers import Request

from uwsd.uws.errors import Forbidden

_PORTS = {"http": 80, "https": 443}


def require_own_page(request: Request) -> None:
    """Raise `Forbidden` for a request that a page of another site has made a browser send."""
    ours = origin_of(request.environ["uwsd.base_url"])
    origin = request.headers.get("Origin")
    if origin is None:
        site = request.headers.get("Sec-Fetch-Site", "none").lower()
        is_foreign = site in ("cross-site", "same-site")
    else:
        is_foreign = origin.lower() != ours
    if is_foreign:
        raise Forbidden(f"a page of another site has sent this; only pages of {ours} may")


def origin_of(url: str) -> str:
    """Return the origin of a URL, as browsers write it (RFC 6454 section 6.1)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
