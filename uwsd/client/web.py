"""HTTP as a patient client speaks it: retries, Retry-After, resumed transfers, credentials."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from re import sub
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest, Response
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_netrc_auth
from urllib3.exceptions import LocationValueError, NewConnectionError

from uwsd import __version__
from uwsd.client.errors import Refused, Unreachable

PATIENCE = 10.0
"""For how many seconds a request is tried again."""

Pairs = Sequence[tuple[str, str]]
Files = Sequence[tuple[str, tuple[str, bytes]]]

_BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_BUSY = frozenset({429, 502, 503, 504})
_MOVED = frozenset({301, 307, 308})
_TIMEOUT = (10, 60)  # seconds: to connect, and between bytes; more than one WAIT


class Web:
    """A session with one service; credentials go to the host of ``home`` and to no other."""

    def __init__(
        self,
        home: str,
        *,
        token: str | None = None,
        login: tuple[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        self._timeout = _TIMEOUT if timeout is None else (timeout, timeout)
        self._session = requests.Session()
        # Sizes and ranges count the bytes of the thing itself, not of a compressed form.
        self._session.headers.update(
            {"User-Agent": f"uwsd/{__version__}", "Accept-Encoding": "identity"}
        )
        if token or login:  # else requests looks into ~/.netrc
            self._session.auth = _AuthAtHome(home, token, login)
        self._has_answered = False

    def get(
        self,
        url: str,
        params: Pairs = (),
        *,
        accept: str = "*/*",
        patience: float = PATIENCE,
        but: tuple[int, ...] = (),
    ) -> Response:
        """Read ``url``, through redirects. A refusal raises, unless its status is in ``but``."""
        send = partial(
            self._session.get,
            url,
            params=list(params),
            headers={"Accept": accept},
            timeout=self._timeout,
        )
        return _checked(self._ask(send, url, patience), but)

    def post(self, url: str, data: Pairs, files: Files = ()) -> Response:
        """Send a form, as multipart if there are files; the redirect is left to the caller."""
        send = partial(
            self._session.post,
            url,
            list(data),
            files=list(files),
            allow_redirects=False,
            timeout=self._timeout,
        )
        return _checked(self._ask(send, url, repeatable=False))

    def delete(self, url: str) -> None:
        """Delete ``url``; where the server sends its client next is of no interest."""
        send = partial(self._session.delete, url, allow_redirects=False, timeout=self._timeout)
        _checked(self._ask(send, url, repeatable=False))

    def chunks(self, url: str, start: int = 0, *, may_lack: bool = False) -> Iterator[bytes]:
        """Yield the bytes of ``url`` from ``start`` on, going on after a dropped connection.

        A server without Range sends everything again, and what is known is skipped. With
        ``may_lack``, what is not there (yet) is as good as empty.
        """
        nothing = (404, 416) if may_lack else (416,)
        position, failed_at = start, -1
        while True:
            try:
                for chunk in self._from(url, position, nothing):
                    position += len(chunk)
                    yield chunk
            except requests.RequestException as error:
                if failed_at == position:
                    raise _unreachable(url, error) from error
                failed_at = position
            else:
                return

    def _from(self, url: str, position: int, nothing: tuple[int, ...]) -> Iterator[bytes]:
        headers = {"Range": f"bytes={position}-"} if position else {}
        send = partial(self._session.get, url, headers=headers, stream=True, timeout=self._timeout)
        with _checked(self._ask(send, url), but=nothing) as answer:
            if answer.status_code in nothing:  # it has not grown
                return
            known = 0 if answer.status_code == 206 else position
            for chunk in answer.iter_content(65536):
                if chunk[known:]:
                    yield chunk[known:]
                known = max(0, known - len(chunk))

    def _ask(
        self,
        send: Callable[[], Response],
        url: str,
        patience: float = PATIENCE,
        *,
        repeatable: bool = True,
    ) -> Response:
        """Send a request until it is answered, or ``patience`` is over.

        One that is not ``repeatable`` is sent again only when it has surely not been taken.
        """
        deadline, delay = time.monotonic() + patience, 0.5
        while True:
            try:
                answer = send()
            except (requests.RequestException, LocationValueError) as error:
                failure, pause = _unreachable(url, error, taken=not repeatable), delay
                again = self._may_try_again(error, repeatable=repeatable)
            else:
                self._has_answered = True
                asked = _retry_after(answer)
                if answer.status_code not in _BUSY or not (repeatable or asked is not None):
                    return answer
                failure, pause = Unreachable(_refusal(answer)), delay if asked is None else asked
                again = True
            if not again or time.monotonic() + pause > deadline:
                raise failure
            time.sleep(pause)
            delay *= 2

    def _may_try_again(self, error: Exception, *, repeatable: bool) -> bool:
        if isinstance(_reason(error), NewConnectionError):
            return self._has_answered  # a server that was never there is a wrong URL
        return repeatable and isinstance(error, _BROKEN)


class _AuthAtHome(AuthBase):
    """Adds the credentials to requests to one origin (scheme, host and port) only."""

    def __init__(self, home: str, token: str | None, login: tuple[str, str] | None) -> None:
        self._home, self._token, self._login = _origin(home), token, login

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        at_home = _origin(request.url or "") == self._home
        login = self._login if at_home else get_netrc_auth(request.url or "")
        if login is not None:
            HTTPBasicAuth(*login)(request)
        elif at_home:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _checked(answer: Response, but: tuple[int, ...] = ()) -> Response:
    status = answer.status_code
    if status in but or (status < 400 and status not in _MOVED):
        return answer
    raise (Unreachable if status >= 500 else Refused)(_refusal(answer))


def _refusal(answer: Response) -> str:
    said = " ".join(sub(r"<[^>]*>", " ", answer.text).split())[:1000]
    where = answer.headers.get("Location", said)
    return f"{answer.url}: {answer.status_code} {answer.reason}: {where}".rstrip(": ")


def _retry_after(answer: Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None


def _unreachable(url: str, error: Exception, *, taken: bool = False) -> Unreachable:
    why = str(_reason(error)).rpartition(": ")[2]
    doubt = "; it may have taken the request all the same" if taken else ""
    return Unreachable(f"{url} cannot be reached: {why}{doubt}")


def _reason(error: Exception) -> object:
    """Return what urllib3 says, without what it is wrapped in."""
    inner = error.args[0] if error.args else error
    return getattr(inner, "reason", inner)
