"""How platforms are now: all are asked at once, and what was last heard is remembered."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from uwsd.client.errors import ClientError
from uwsd.client.platforms import Platform
from uwsd.client.platforms.records import is_available, standards
from uwsd.client.web import Web

_AT_ONCE = 16
_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a platform said when it was last asked and did answer."""

    is_available: bool
    notes: str
    standards: tuple[str, ...]
    at: float  #: when that was, in seconds since 1970


def ask_all(platforms: Iterable[Platform], patience: float) -> dict[str, Status]:
    """Return what each platform says of itself; the old word of one that does not answer now."""
    chosen = list(platforms)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(partial(_ask, patience=patience), chosen)
        heard = {p.identifier: s for p, s in zip(chosen, answers, strict=True) if s is not None}
    known = _recall() | heard
    _remember(known)
    return {p.identifier: known[p.identifier] for p in chosen if p.identifier in known}


def _ask(platform: Platform, patience: float) -> Status | None:
    if platform.availability is None:
        return None
    web = Web(platform.availability, timeout=patience)
    try:
        said = is_available(web.get(platform.availability, patience=0).content)
        offered: tuple[str, ...] = ()
        if platform.capabilities is not None:
            offered = standards(web.get(platform.capabilities, patience=0).content)
    except ClientError:
        return None
    if said is None:
        return None
    return Status(is_available=said[0], notes=said[1], standards=offered, at=time.time())


def _file() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "uwsd" / "platforms.json"


def _recall() -> dict[str, Status]:
    try:
        known = json.loads(_file().read_text("utf-8"))
        return {name: _status(fields) for name, fields in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # it is a convenience, no more


def _status(fields: Mapping[str, object]) -> Status:
    return Status(**{**fields, "standards": tuple(fields["standards"])})  # type: ignore[arg-type]


def _remember(known: Mapping[str, Status]) -> None:
    newest = sorted(known.items(), key=lambda item: item[1].at)[-_MOST:]
    text = json.dumps({name: asdict(status) for name, status in newest})
    try:
        _file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = _file().with_suffix(f".{os.getpid()}")
        draft.write_text(text, "utf-8")
        draft.replace(_file())
    except OSError:
        return
