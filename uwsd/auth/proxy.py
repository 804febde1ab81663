"""The name that a trusted proxy has found out and tells in a header.

Any process of the machine can reach a port on loopback and write any header, a job among
them. So the peer has to be a trusted proxy and to know a secret; from anybody else the header
means nothing.
"""

import hmac
import logging

from werkzeug.wrappers import Request

from uwsd.auth.names import explain, is_name
from uwsd.edge import FROM_PROXY
from uwsd.uws.access import Caller, Proof
from uwsd.uws.errors import Unauthorized

SECRET_HEADER = "X-Uwsd-Proxy-Secret"  # noqa: S105 - the name of the header, not what is in it

_log = logging.getLogger(__name__)


class ProxyUser:
    """The user whom a proxy names; where people log in is the proxy's own affair."""

    challenge = None
    security_method = None

    def __init__(self, header: str, secret: str) -> None:
        assert secret, "anybody knows an empty secret"
        self._header = header
        self._secret = secret.encode()
        self._has_complained = False

    def changed(self) -> float:
        """Return 0: nothing changes here before a new start."""
        return 0.0

    def authenticate(self, request: Request) -> Caller | None:
        """Return the user whom the proxy names, if it names one."""
        name = request.headers.get(self._header, "")
        if not name or not self._is_proxy(request):
            return None
        if not is_name(name):
            raise Unauthorized(f"{self._header}: {explain(name)}")
        return Caller(name=name, proof=Proof.PROXY)

    def _is_proxy(self, request: Request) -> bool:
        if not request.environ.get(FROM_PROXY):
            return False
        shown = request.headers.get(SECRET_HEADER, "").encode("latin-1")
        if hmac.compare_digest(shown, self._secret):
            return True
        if not self._has_complained:  # once: any client of the machine can come here
            self._has_complained = True
            _log.warning("%s is ignored: no, or a wrong, %s", self._header, SECRET_HEADER)
        return False
