"""The command of a service: a list of arguments with places for values, and no shell.

``{NAME}`` is the place of a parameter or of something that uwsd knows (`BUILTINS`); ``{{`` and
``}}`` are braces. Places are found once, in the configuration; a value is data, and a brace in
it means nothing.

An argument is left out when a parameter in it has no value, and repeated for each value of a
repeatable one, so that ``--add={FILE}`` becomes ``--add=a --add=b``.

What begins with a dash may be taken for an option. A string that begins with a dash is refused
where it would begin an argument, and so is an interval, for its ``-Inf``. Authors write
``--text={TEXT}``, which takes every text, or put an argument ``--`` before ``{TEXT}``. The
other types begin with a dash only as negative numbers, or because the author listed the value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Self

from uwsd.capabilities.parameters import InputParam
from uwsd.capabilities.values import ParameterType
from uwsd.uws.errors import BadRequest

BUILTINS = ("python", "here", "workspace", "inputs", "outputs", "job_id")
"""What uwsd knows: its own interpreter, the folder of the configuration, and of the job."""

_LONGEST = 128 * 1024 - 1  # Linux: MAX_ARG_STRLEN, with the NUL at the end
_LONGEST_TOGETHER = 1024 * 1024  # Linux: a quarter of the stack, 2 MiB, for environment and all
_MAY_BE_OPTIONS = frozenset({ParameterType.STRING, ParameterType.INTERVAL})
_INTERPRETER = re.compile(r"(.*/)?([a-z]*sh|python[0-9.]*|\{python\}|perl|ruby|node|Rscript)")
_PROGRAM_FOLLOWS = re.compile(r"-[A-Za-z]*[ce]")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument, cut at its places: texts at even positions, names at odd ones."""

    parts: tuple[str, ...]
    after_dashes: bool = False  #: whether an argument ``--`` comes before it

    @classmethod
    def read(cls, text: str) -> Self:
        """Cut an argument as the configuration writes it; raise ValueError with a sentence."""
        parts = [""]
        for literal, name, form, conversion in _fields(text):
            parts[-1] += literal
            if form or conversion or name == "":
                raise ValueError(f"{text!r}: a place is a name in braces, and nothing else")
            if name:
                parts += [name, ""]
        return cls(tuple(parts))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its places."""
        return self.parts[1::2]

    @property
    def leaders(self) -> Iterator[str]:
        """The names of the places that may hold its first character."""
        for text, name in zip(self.parts[::2], self.names, strict=False):
            if text:
                return
            yield name

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the argument with a value in each of its places."""
        return "".join(
            values[part] if position % 2 else part for position, part in enumerate(self.parts)
        )


class CommandLine:
    """The arguments of a service, checked against its parameters."""

    def __init__(self, texts: Sequence[str], parameters: Sequence[InputParam]) -> None:
        """Read the command as it is configured; raise ValueError with a sentence."""
        self._parameters = {p.name: p for p in parameters}
        self._arguments = tuple(self._read(texts))

    def bind(
        self, known: Mapping[str, str], values: Mapping[str, Sequence[str]]
    ) -> tuple[str, ...]:
        """Return the command for one job, or raise `BadRequest`, which says what does not fit.

        ``known`` has a text for each of `BUILTINS`, ``values`` the texts of each parameter
        that has some.
        """
        bound = tuple(text for a in self._arguments for text in self._fill(a, known, values))
        if sum(map(_size, bound)) > _LONGEST_TOGETHER:
            raise BadRequest(
                f"the values are longer than a command line takes, {_LONGEST_TOGETHER} bytes "
                "together; long ones have to be given as files"
            )
        return bound

    def _read(self, texts: Sequence[str]) -> Iterator[Argument]:
        for position, text in enumerate(texts):
            argument = Argument(Argument.read(text).parts, "--" in texts[:position])
            self._require_known(argument)
            if any(name in self._parameters for name in argument.names):
                _require_data(texts, position)
            yield argument

    def _require_known(self, argument: Argument) -> None:
        for name in argument.names:
            if name not in self._parameters and name not in BUILTINS:
                known = ", ".join((*self._parameters, *BUILTINS))
                raise ValueError(f"{{{name}}} in the command names no parameter; known: {known}")
        if len(self._repeatable(argument)) > 1:
            raise ValueError("an argument of the command takes one repeatable parameter at most")

    def _repeatable(self, argument: Argument) -> list[str]:
        own = (self._parameters[name] for name in argument.names if name in self._parameters)
        return [p.name for p in own if p.repeatable]

    def _fill(
        self, argument: Argument, known: Mapping[str, str], values: Mapping[str, Sequence[str]]
    ) -> Iterator[str]:
        own = [*dict.fromkeys(n for n in argument.names if n in self._parameters)]
        if not all(values.get(name) for name in own):
            return
        first = {**known, **{name: values[name][0] for name in own}}
        repeated = self._repeatable(argument)
        for value in values[repeated[0]] if repeated else ("",):
            chosen = {**first, **dict.fromkeys(repeated, value)}
            self._require_harmless(argument, chosen, own)
            yield argument.fill(chosen)

    def _require_harmless(
        self, argument: Argument, values: Mapping[str, str], own: Sequence[str]
    ) -> None:
        for name in own:
            if "\0" in values[name]:
                raise BadRequest(f"{name} takes no NUL character: it goes on a command line")
            if self._looks_like_option(argument, name, values[name]):
                raise BadRequest(
                    f"{name} takes nothing that begins with a dash: the command might take it for "
                    f"an option (its author can avoid that: --option={{{name}}}, or -- before it)"
                )
        size = _size(argument.fill(values))
        if own and size > _LONGEST:
            raise BadRequest(
                f"{' and '.join(own)}: {size} bytes are more than a command line takes, "
                f"{_LONGEST}; a value so long has to be given as a file"
            )

    def _looks_like_option(self, argument: Argument, name: str, value: str) -> bool:
        return (
            value.startswith("-")
            and self._parameters[name].type in _MAY_BE_OPTIONS
            and not argument.after_dashes
            and name in argument.leaders
        )


def _fields(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; a brace is written {{{{ or }}}}") from None


def _require_data(texts: Sequence[str], position: int) -> None:
    """Refuse a command in which what a client sends would be a program, or part of one."""
    if position == 0:
        raise ValueError("the first word of the command is the program: no parameter chooses it")
    is_interpreted = any(_INTERPRETER.fullmatch(text) for text in texts[: position - 1])
    if is_interpreted and _PROGRAM_FOLLOWS.fullmatch(texts[position - 1]):
        raise ValueError(
            f"{texts[position]!r} would make what a client sends part of a program; "
            'let the program read its argument ("$1") or parameters.json instead'
        )


def _size(text: str) -> int:
    return len(text.encode())
