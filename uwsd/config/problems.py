"""What is wrong with a configuration: where, what, and how to mend it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from pydantic import ValidationError

from uwsd.config.options import Option, all_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: where, what, and how to mend it."""

    where: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f"; {self.fix}" if self.fix else "")


class Origins(Protocol):
    """Who knows where an option was written."""

    def where(self, key: Iterable[str | int]) -> str:
        """Return the line, or the variable."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return a suggestion of what ``name`` was meant to be, as the end of a sentence."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(names)}"


Options = Callable[[], Iterable[Option]]


def problems_of(
    error: ValidationError,
    source: Origins,
    above: tuple[str, ...] = (),
    options: Options = all_options,
) -> list[Problem]:
    """Return what pydantic found wrong in the table at ``above``, in our words.

    ``options`` gives what the file can hold, for suggestions.
    """
    return [_problem(each, source, above, options) for each in error.errors(include_url=False)]


def _problem(error: Any, source: Origins, above: tuple[str, ...], options: Options) -> Problem:
    key = (*above, *error["loc"])
    name = ".".join(str(part) for part in key if part != "[key]")
    match error["type"]:
        case "extra_forbidden":
            message, fix = (
                f"there is no option {name}",
                closest(str(key[-1]), _known(key[:-1], options)),
            )
        case "missing":
            message, fix = f"{name} is missing", ""
        case "value_error":
            message, fix = f"{name}: {error['ctx']['error']}", ""
        case _:
            message, fix = f"{name}: {error['msg']}{_given(error['input'], key)}", ""
    return Problem(where=source.where(key), message=message, fix=fix)


def _given(value: object, key: tuple[str | int, ...]) -> str:
    """Show what was given, unless it may be a secret."""
    is_secret = key[:1] == ("database",) or key[-1:] == ("proxy_secret",)
    return "" if is_secret or isinstance(value, dict | list) else f", not {value!r}"


def _known(key: tuple[str | int, ...], options: Options) -> list[str]:
    """Return the names of the options in the table at ``key``."""
    names = [option.name.split(".") for option in options()]
    depth = len(key)
    return sorted(
        {
            option[depth]
            for option in names
            if len(option) > depth
            and all(o in (str(k), "NAME", "ID") for o, k in zip(option, key, strict=False))
        }
        - {"NAME", "ID"}
    )
