"""All options, one after the other: for the documents, and for suggestions."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.fields import FieldInfo

from uwsd import plugins
from uwsd.config.settings import Settings

_WORDS = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    ByteSize: "size",
    SecretStr: "secret text",
}
_BACKENDS = ("local", "docker", "slurm", "kubernetes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option; a part of its name in capitals stands for a name of one's own."""

    name: str
    type: str
    default: str
    description: str
    only: str = ""  #: where alone it is an option, as people say it

    @property
    def heading(self) -> str:
        """The table that it is in."""
        return f"`[{self.name.rpartition('.')[0]}]`{self.only}"


def all_options() -> Iterator[Option]:
    """Return every option there is, table by table."""
    yield from _options(Settings, "", skip=("services", "backends", "here"))
    yield Option(
        name="backends.NAME.type",
        type="text",
        default="required",
        description="What it is: a module of uwsd.backends, or the dotted name of your own.",
    )
    for backend in _BACKENDS:
        with suppress(plugins.NoSuchPlugin):  # its library is not installed
            module = plugins.load("uwsd.backends", backend)
            for option in _options(module.Options, "backends.NAME."):
                yield replace(option, only=f' with `type = "{backend}"`')
    service = get_args(Settings.model_fields["services"].annotation)[1]
    yield from _options(service, "services.NAME.")


def options_of(model: type[BaseModel]) -> Iterator[Option]:
    """Return the options of another file than ``uwsd.toml``, whose tables ``model`` describes."""
    return _options(model, "")


def tables(options: Iterable[Option]) -> str:
    """Return options as Markdown, a table for each table of the file."""
    grouped: dict[str, list[Option]] = {}
    for option in options:
        grouped.setdefault(option.heading, []).append(option)
    return "\n\n".join(f"### {name}\n\n{_markdown(table)}" for name, table in grouped.items())


def _markdown(options: Iterable[Option]) -> str:
    rows = [
        f"| `{o.name.rpartition('.')[2]}` | {o.type} | {o.default} | {o.description} |"
        for o in options
    ]
    return "\n".join(["| option | type | default | |", "|---|---|---|---|", *rows])


def _options(model: type[BaseModel], above: str, skip: tuple[str, ...] = ()) -> Iterator[Option]:
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        table, below = _table(field.annotation)
        if table is not None:
            yield from _options(table, f"{above}{name}.{below}")
            continue
        yield Option(
            name=f"{above}{name}",
            type=_words(field.annotation),
            default=_default(field),
            description=field.description or "",
        )


def _table(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """Return the model of a table, and what stands for the names in a table of tables."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    if get_origin(annotation) is Mapping:
        _, value = get_args(annotation)
        if isinstance(value, type) and issubclass(value, BaseModel):
            return value, "NAME."
    return None, ""


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_words(a) for a in arguments if a is not type(None)))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f'"{member.value}"' for member in annotation)
    return {tuple: "list", Mapping: "table"}.get(origin, _WORDS.get(annotation, "text"))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "see right"
    default = field.default
    if isinstance(default, SecretStr) or default in (None, "", (), {}):
        return ""
    # JSON's way to write these values is TOML's, too.
    return json.dumps(default, default=str)
