"""Describe a Python function, or call it: the whole of a service that is one function.

Usage: ``function.py describe|call MODULE:NAME [FOLDER ...]``. The folders are looked in for the
module, after everything that is installed. Nothing is imported but the standard library (3.11)
and that module, and nothing of uwsd: this file is run by the interpreter of the function.

``describe`` writes a JSON object with ``title``, ``description`` and ``parameters``.

``call`` reads the file that ``UWSD_PARAMETERS`` names, calls the function, and leaves what it
returned in ``returned/ID/NAME``, one file a result. One value has the id ``result``. A dict
in which there is a path, a table or bytes is several results, each under its key; the first of
them has the id ``result``, unless another one has. What is returned becomes a file so:

=====================  ======================================================
a path                 that file, which has to be in the working folder
a table of astropy     ``.vot``, a VOTable
str                    ``.txt``
bytes                  ``.bin``
None                   nothing
everything else        ``.json``; arrays become lists, NaN and infinity null
=====================  ======================================================
"""

import inspect
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from importlib import import_module
from pathlib import Path, PurePath
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

_SAYS = frozenset({"description", "unit", "ucd", "range", "type"})
_NUMBERS = frozenset({"interval", "point", "circle", "polygon"})
_LISTS = (list, Sequence)
_ID = re.compile(r"(?!(stdout|stderr)$)[A-Za-z_][A-Za-z0-9_.-]*")
_RETURNED = Path("returned")


class Argument(NamedTuple):
    """One argument of the function, and how its values are made from those in JSON."""

    says: dict[str, Any]  #: what the service declares of it
    read: Callable[[Any], Any]


def main(verb: str, name: str, *folders: str) -> None:
    """Carry out one of the two verbs."""
    sys.path += folders
    if verb == "describe":
        # What the module prints is not the answer.
        answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        with answer:
            json.dump(describe(load(name)), answer)
    else:
        function = load(name)
        given = json.loads(Path(os.environ["UWSD_PARAMETERS"]).read_bytes())
        keep(function(**dict(values(function, given))))


def load(name: str) -> Callable[..., Any]:
    """Import the function ``MODULE:NAME``."""
    module, _, attribute = name.partition(":")
    function = getattr(import_module(module), attribute)
    if not callable(function):
        raise TypeError(f"{name} is not a function")
    return function  # type: ignore[no-any-return]


def describe(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the title, the description and the parameters of a function."""
    title, _, rest = (inspect.getdoc(function) or "").partition("\n")
    return {
        "title": title.strip().rstrip(".") or function.__name__,
        "description": rest.strip() or title.strip(),
        "parameters": {name: argument.says for name, argument in arguments(function).items()},
    }


def values(function: Callable[..., Any], given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of a call. What was not given is the function's own default, or None."""
    defaults = inspect.signature(function).parameters
    for name, argument in arguments(function).items():
        if name in given:
            yield name, argument.read(given[name])
        elif defaults[name].default is inspect.Parameter.empty:
            yield name, None


def arguments(function: Callable[..., Any]) -> dict[str, Argument]:
    """Return the arguments of a function by name; raise TypeError for what no client can send."""
    hints = get_type_hints(function, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise TypeError(f"the argument {name} cannot be given by its name")
        if name not in hints:
            raise TypeError(f"the argument {name} has no type; write {name}: float, or another one")
        found[name] = _argument(name, hints[name], parameter.default)
    return found


def _argument(name: str, hint: Any, default: Any) -> Argument:
    hint, says = _unwrapped(hint)
    if unknown := says.keys() - _SAYS - {"optional", "repeatable"}:
        raise TypeError(f"the argument {name} says {sorted(unknown)}; known: {sorted(_SAYS)}")
    is_optional = says.pop("optional", False) or default is not inspect.Parameter.empty
    kind, choices, read = _kind(name, hint, says.get("type"))
    says |= {"type": kind, "required": not is_optional}
    if choices:
        says["values"] = list(choices)
    if (text := _text(default)) is not None and kind != "file":
        says["default"] = text
    if says.get("repeatable"):
        return Argument(says, lambda items: [read(item) for item in items])
    return Argument(says, read)


def _unwrapped(hint: Any) -> tuple[Any, dict[str, Any]]:
    """Take ``Annotated``, ``Optional`` and ``list`` off a type; return what they said, too."""
    says: dict[str, Any] = {}
    while True:
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Annotated:
            for extra in inner[1:]:
                says |= {"description": extra} if isinstance(extra, str) else extra
        elif origin in {Union, UnionType} and type(None) in inner and len(inner) == 2:
            says["optional"] = True
            inner = tuple(i for i in inner if i is not type(None))
        elif origin in _LISTS:
            says["repeatable"] = True
        else:
            return hint, says
        hint = inner[0]


def _kind(
    name: str, hint: Any, asked: str | None
) -> tuple[str, dict[str, Any], Callable[..., Any]]:
    """Return the type of a parameter, its choices by their text, and how a value is read."""
    if hint in _KINDS and asked in {None, _KINDS[hint][0]}:
        kind, read = _KINDS[hint]
        return kind, {}, read
    if get_origin(hint) is tuple and asked in _NUMBERS:
        return asked, {}, _interval if asked == "interval" else tuple
    if get_origin(hint) is Literal:
        choices = {_text(item) or str(item): item for item in get_args(hint)}
    elif isinstance(hint, type) and issubclass(hint, Enum):
        choices = {_text(member) or str(member): member for member in hint}
    else:
        raise TypeError(f"the argument {name} has a type that no client can send: {hint}")
    return "enum", choices, choices.__getitem__


def _instant(text: str) -> datetime:
    """Return a timestamp, which is in UTC with a Z or without (DALI 1.2 section 3.3)."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _interval(bounds: Sequence[float | None]) -> tuple[float, float]:
    """Return an interval; JSON has null for an end that is open."""
    lower, upper = bounds
    return -math.inf if lower is None else lower, math.inf if upper is None else upper


_KINDS: dict[Any, tuple[str, Callable[..., Any]]] = {
    str: ("string", str),
    int: ("integer", int),
    float: ("real", float),
    bool: ("boolean", bool),
    datetime: ("timestamp", _instant),
    Path: ("file", Path),
}


def _text(default: Any) -> str | None:
    """Return a default as a client would write it; None if there is none, or none to write."""
    match default:
        case bool():
            return str(default).lower()
        case Enum():
            return str(default.value)
        case datetime():
            in_utc = default.astimezone(UTC) if default.tzinfo else default
            return in_utc.replace(tzinfo=None).isoformat() + "Z"
        case str() | int() | float():
            return str(default)
        case _:
            return None


def keep(returned: Any) -> None:
    """Leave what the function returned where the server looks for it."""
    for name, value in _named(returned).items():
        if not _ID.fullmatch(name):
            raise ValueError(f"a result cannot be called {name!r}")
        folder = _RETURNED / name
        folder.mkdir(parents=True, exist_ok=True)
        _write(value, folder, name)


def _named(returned: Any) -> dict[str, Any]:
    if returned is None:
        return {}
    if not isinstance(returned, dict) or not any(map(_is_special, returned.values())):
        return {"result": returned}
    if "result" in returned:
        return returned
    first, *others = returned
    return {"result": returned[first], **{name: returned[name] for name in others}}


def _is_special(value: Any) -> bool:
    return isinstance(value, PurePath | bytes) or _is_table(value)


def _is_table(value: Any) -> bool:
    """Whether it is a table of astropy, which need not be installed."""
    kinds = type(value).__mro__
    return any(k.__name__ == "Table" and k.__module__.startswith("astropy.") for k in kinds)


def _write(value: Any, folder: Path, name: str) -> None:
    if isinstance(value, PurePath):
        path = Path(value).resolve(strict=True)
        if not path.is_relative_to(Path.cwd()) or not path.is_file():
            raise ValueError(f"{value} is not a file in the working folder")
        path.replace(folder / path.name)
    elif _is_table(value):
        value.write(folder / f"{name}.vot", format="votable")
    elif isinstance(value, bytes):
        (folder / f"{name}.bin").write_bytes(value)
    elif isinstance(value, str):
        (folder / f"{name}.txt").write_text(value, encoding="utf-8", newline="")
    else:
        text = json.dumps(_plain(value), allow_nan=False, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return the value in JSON's own types."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [_plain(item) for item in value]
        case datetime():
            return value.isoformat()
    if hasattr(value, "tolist"):  # an array or a number of numpy
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be a result")


if __name__ == "__main__":
    main(*sys.argv[1:])
