"""Where options come from: a TOML file, and the environment on top of it.

Each option keeps its origin, a line of the file or the name of a variable, so that what is
wrong with it can be told where it is.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uwsd.config.lines import Key, key_lines
from uwsd.config.problems import Problem, closest

_SHORT: Mapping[str, Key] = {"UWSD_DATA": ("data", "folder"), "UWSD_PORT": ("server", "port")}
_INTERNAL = frozenset({"UWSD_LISTENER", "UWSD_PARENT"})
_FOREIGN = frozenset({"UWSD_CONFIG", "UWSD_URL", "UWSD_TOKEN"}) | _INTERNAL
"""Variables of uwsd that are no options."""

_FILE = "_FILE"


@dataclass(slots=True, kw_only=True)
class Source:
    """The options as they were written, and where."""

    path: Path
    tables: dict[str, Any] = field(default_factory=dict)
    origins: dict[Key, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def where(self, key: Iterable[str | int]) -> str:
        """Return where an option was written, or else the nearest table above it."""
        way = tuple(key)
        while way and way not in self.origins:
            way = way[:-1]
        return self.origins.get(way, str(self.path))


def read(path: Path, environ: Mapping[str, str]) -> Source:
    """Read the file, if there is one, and the variables; nothing of it is checked yet."""
    source = Source(path=path)
    _read_file(source)
    for name in sorted(environ):
        if name.startswith("UWSD_") and name not in _FOREIGN:
            _read_variable(source, name, environ[name])
    return source


def _read_file(source: Source) -> None:
    try:
        text = source.path.read_text("utf-8")
        source.tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        line = re.search(r"at line (\d+)", message)
        where = f"{source.path}:{line[1]}" if line else f"{source.path}"
        source.problems.append(Problem(where=where, message=f"this is not TOML: {message}"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        source.problems.append(Problem(where=str(source.path), message=f"cannot be read: {reason}"))
    else:
        for key, line_number in key_lines(text).items():
            source.origins[key] = f"{source.path}:{line_number}"


def _read_variable(source: Source, name: str, value: str) -> None:
    if name in _SHORT:
        _set(source, _SHORT[name], value, name)
        return
    words = name.removeprefix("UWSD_").split("__")
    if len(words) < 2 or not all(words):
        known = (*_SHORT, *_FOREIGN - _INTERNAL)
        message = "this variable means nothing to uwsd"
        fix = f"{closest(name, known)} (options are UWSD_SECTION__OPTION)"
        source.problems.append(Problem(where=name, message=message, fix=fix))
        return
    if words[-1].endswith(_FILE) and words[-1] != _FILE:
        words[-1] = words[-1].removesuffix(_FILE)
        content = _content(source, name, Path(value))
        if content is None:
            return
        value = content
    _set(source, tuple(words), _toml_or_text(value), name)


def _content(source: Source, name: str, path: Path) -> str | None:
    try:
        return path.read_text("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        source.problems.append(Problem(where=name, message=f"{path} cannot be read: {reason}"))
        return None


def _toml_or_text(value: str) -> Any:
    """Lists and tables are written as in TOML; of other text the option makes what it takes."""
    if not value.startswith(("[", "{", '"')):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _set(source: Source, words: tuple[str | int, ...], value: object, origin: str) -> None:
    table: Any = source.tables
    key: Key = ()
    for word in words[:-1]:
        key = (*key, _spelled(str(word), table, key))
        table = table.setdefault(key[-1], {})
        source.origins.setdefault(key, origin)
        if not isinstance(table, dict):
            message = f"{'.'.join(map(str, key))} is no table"
            source.problems.append(Problem(where=origin, message=message))
            return
    key = (*key, _spelled(str(words[-1]), table, key))
    table[key[-1]] = value
    source.origins[key] = origin


def _spelled(word: str, table: Mapping[str, object], above: Key) -> str:
    """Return the key that a word in capitals means: one that is there, or the usual spelling."""
    folded = _folded(word)
    for key in table:
        if _folded(key) == folded:
            return key
    if above and above[-1] in ("parameters", "environment"):
        return word
    return word.lower().replace("_", "-") if above in _NAMED else word.lower()


_NAMED: tuple[Key, ...] = (("services",), ("backends",))


def _folded(word: str) -> str:
    return word.lower().replace("-", "_")
