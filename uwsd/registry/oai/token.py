"""Resumption tokens: where a list goes on, signed, so that nothing need be remembered.

A token is valid for ever, after a restart too: the key is kept in the data folder. It holds
characters only that a URL holds as they are, since some harvesters paste it there.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from uwsd.registry.oai.arguments import Verb
from uwsd.registry.oai.errors import BadResumptionToken

_MAC = 16  # bytes of the signature that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """The rest of a list: what was asked for, and what has been delivered."""

    arguments: dict[str, str]  #: of the first request
    after: int  #: the number of the last record's change
    cursor: int  #: how many records came before

    def token(self, verb: Verb, key: bytes) -> str:
        """Return what resumes the list of ``verb``."""
        payload = json.dumps({"verb": verb, **asdict(self)}, separators=(",", ":")).encode()
        return f"{_text(payload)}.{_text(_signature(payload, key))}"

    @classmethod
    def read(cls, token: str, verb: Verb, key: bytes) -> Self:
        """Return what ``token`` stands for; raise `BadResumptionToken` if it is not one of ours."""
        payload, _, signature = token.partition(".")
        try:
            content, mac = _bytes(payload), _bytes(signature)
        except (ValueError, binascii.Error):
            raise _refusal() from None
        if not hmac.compare_digest(mac, _signature(content, key)):
            raise _refusal()
        fields = json.loads(content)
        if fields.pop("verb") != verb:
            raise BadResumptionToken(f"this token does not resume {verb}")
        return cls(**fields)


def signing_key(path: Path) -> bytes:
    """Return the key in the file ``path``, which is made when it is not there."""
    with suppress(FileExistsError):
        draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(32))
        try:
            os.link(draft, path)  # whole or not at all, and only if it is the first
        finally:
            draft.unlink()
    return path.read_bytes()


def _refusal() -> BadResumptionToken:
    return BadResumptionToken("this is no token of this registry; begin the list again")


def _signature(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)[:_MAC]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(raw) != text:  # spare bits are ignored by the decoder: one token, one spelling
        raise ValueError("not how it was written")
    return raw
