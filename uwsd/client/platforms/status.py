"""How platforms are now: all are asked at once, and what was last heard is remembered."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from pydantic import TypeAdapter

from uwsd.client.errors import ClientError
from uwsd.client.platforms import Platform
from uwsd.client.platforms.documents import is_available, standards
from uwsd.client.web import Web

_AT_ONCE = 100
_MOST = 1000  # words that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a platform said when it last answered."""

    is_available: bool
    notes: str
    standards: tuple[str, ...]
    at: float  #: when that was, in seconds since 1970
    answers: bool  #: whether that was just now


_Known = dict[str, Status]
"""By the URL that was asked: what one platform says is never another's word."""


def ask_all(platforms: Sequence[Platform], patience: float) -> dict[str, Status]:
    """Return, by IVOID, what each platform says of itself; the old word of one that is silent.

    It is all over after ``patience`` seconds, however slowly somebody answers.
    """
    urls = {p.availability: p for p in platforms if p.availability is not None}
    todo: SimpleQueue[tuple[str, Platform]] = SimpleQueue()
    for item in urls.items():
        todo.put(item)
    heard: _Known = {}

    def work() -> None:
        with suppress(Empty):
            while True:
                url, platform = todo.get_nowait()
                if (said := _ask(url, platform, patience)) is not None:
                    heard[url] = said

    # Daemons: who has not answered by then is not waited for at the end either.
    threads = [Thread(target=work, daemon=True) for _ in range(min(len(urls), _AT_ONCE))]
    give_up = time.monotonic() + patience
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, give_up - time.monotonic()))
    known = _recall() | heard
    _remember(known)
    return {p.identifier: known[p.availability] for p in platforms if p.availability in known}


def _ask(url: str, platform: Platform, patience: float) -> Status | None:
    web = Web(url, timeout=patience)
    try:
        said = is_available(web.get(url, patience=0).content)
        offered: tuple[str, ...] = ()
        if platform.capabilities is not None:
            offered = standards(web.get(platform.capabilities, patience=0).content)
    except ClientError:
        return None
    if said is None:
        return None
    return Status(
        is_available=said[0], notes=said[1], standards=offered, at=time.time(), answers=True
    )


def _file() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "uwsd" / "platforms.json"


def _recall() -> _Known:
    try:
        known = TypeAdapter(_Known).validate_json(_file().read_bytes())
    except (OSError, ValueError):
        return {}  # it is a convenience, no more
    return {url: replace(status, answers=False) for url, status in known.items()}


def _remember(known: Mapping[str, Status]) -> None:
    newest = sorted(known.items(), key=lambda item: item[1].at)[-_MOST:]
    try:
        _file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = _file().with_suffix(f".{os.getpid()}")
        draft.write_bytes(TypeAdapter(_Known).dump_json(dict(newest)))
        draft.replace(_file())
    except OSError:
        return
