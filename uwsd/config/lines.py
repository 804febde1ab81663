"""Where things are in a TOML text: the line of every key, which `tomllib` does not tell.

The text is one that `tomllib` has read without complaint, so that nothing is checked here:
it is cut into tokens, and the keys among them are followed to their values.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping

Key = tuple[str | int, ...]
"""The way to a value: names of tables and keys, and positions in arrays."""

# Strings come first, and the longest quotes first of all: what looks like TOML inside of one
# is not. A multi-line string may end with two more quotes, which belong to it.
_TOKEN = re.compile(
    r"""
      "{3} (?: \\. | [^\\] )*? "{3,5} | '{3} .*? '{3,5}
    | "    (?: \\. | [^"\\] )* "      | ' [^']* '
    | [^\s"'\[\]{}=,.\#]+
    | [\[\]{}=,.\n]
    | (?P<blank> [^\S\n]+ | \#[^\n]* )
    """,
    re.DOTALL | re.VERBOSE,
)
_END = ""


def key_lines(text: str) -> Mapping[Key, int]:
    """Return the line on which each key, table and array element of ``text`` begins."""
    scan = _Scan(text)
    scan.document()
    return scan.lines


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self._newest: dict[Key, int] = {}  #: where the last [[table]] of each name is in its array
        self._tokens = _tokens(text)
        self._take()

    def document(self) -> None:
        table: Key = ()
        while self._word != _END:
            if self._word == "\n":
                self._take()
            elif self._word == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Key:
        line = self._line
        is_array = self._take() == "["
        if is_array:
            self._take()
        *parents, name = self._names()
        table = self._step(self._walk((), parents, line), name, line, is_new=is_array)
        self.lines[table] = line  # also when a longer header had to stand in for it
        self._skip_to({"\n"})
        return table

    def _pair(self, table: Key) -> None:
        line = self._line
        key = self._walk(table, self._names(), line)
        self._take()  # the equals sign
        self._value(key)

    def _names(self) -> list[str]:
        names = [_name(self._word)]
        while self._take() == ".":
            names.append(_name(self._take()))
        return names

    def _walk(self, key: Key, names: list[str], line: int) -> Key:
        for name in names:
            key = self._step(key, name, line)
        return key

    def _step(self, key: Key, name: str, line: int, *, is_new: bool = False) -> Key:
        key = (*key, name)
        self.lines.setdefault(key, line)
        if is_new:
            self._newest[key] = self._newest.get(key, -1) + 1
        return (*key, self._newest[key]) if key in self._newest else key

    def _value(self, key: Key) -> None:
        if self._word == "{":
            self._members("}", lambda _: self._pair(key))
        elif self._word == "[":
            self._members("]", lambda position: self._element((*key, position)))
        else:
            self._skip_to({",", "]", "}", "\n"})

    def _element(self, key: Key) -> None:
        self.lines[key] = self._line
        self._value(key)

    def _members(self, closing: str, member: Callable[[int], None]) -> None:
        self._take()
        position = 0
        while self._word != closing:
            if self._word in {",", "\n"}:
                self._take()
            else:
                member(position)
                position += 1
        self._take()

    def _skip_to(self, ends: set[str]) -> None:
        while self._word not in ends | {_END}:
            self._take()

    def _take(self) -> str:
        self._word, self._line = next(self._tokens, (_END, 0))
        return self._word


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match["blank"] is None:
            yield match[0], line
        line += match[0].count("\n")


def _name(token: str) -> str:
    """Return the key that a token spells: bare, or in quotes of either kind."""
    if token[0] not in "\"'":
        return token
    name: str = tomllib.loads(f"name = {token}")["name"]
    return name
