"""The table ``[services.NAME]`` of the configuration: how an author declares a service.

The description of each field is its help text. Whatever can be wrong about a declaration is
found when it is read, and said in a sentence.
"""

import re
from collections.abc import Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from uwsd.capabilities.argv import Argument, CommandLine
from uwsd.capabilities.declarations import (
    ExampleSettings,
    FetchSettings,
    LimitSettings,
    ParameterSettings,
    ResultSettings,
    Table,
)
from uwsd.capabilities.parameters import InputParam
from uwsd.capabilities.results import IDENTIFIER, RESERVED
from uwsd.uws.job import MAIN

CONTROLS = frozenset(
    {"PHASE", "RUNID", "ACTION", "WAIT", "UPLOAD"}
    | {"EXECUTIONDURATION", "DESTRUCTION", "LAST", "AFTER"}
)
"""Names with a meaning of their own in UWS and DALI."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"(?!UWSD_)[A-Za-z_][A-Za-z0-9_]*")
_FUNCTION = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
_CAPABILITY = r"^(command|function|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+)$"


class ServiceSettings(Table):
    """One service."""

    capability: str = Field(
        default="command",
        pattern=_CAPABILITY,
        description='What it is: "command", "function", or the dotted name of your own module.',
    )
    title: str | None = Field(default=None, min_length=1, description="Its name for people.")
    description: str = Field(default="", description="What it does, in a paragraph for people.")
    subjects: tuple[str, ...] = Field(
        default=(), description="Terms of the Unified Astronomy Thesaurus, for the registry."
    )
    backend: str = Field(
        default="local", description="Where its jobs run: a name below [backends]."
    )
    image: str = Field(
        default="",
        description="The container image of its jobs, best with its digest, on backends that run "
        "containers; others run the command as it is. Default: the backend's.",
    )
    network: bool = Field(
        default=False,
        description="Whether its jobs may reach other hosts; backends that run containers keep "
        "the others from it.",
    )
    command: tuple[str, ...] = Field(
        default=(),
        description="The program and its arguments, no shell; {NAME} is the value of a parameter, "
        "and {python}, {here}, {workspace}, {inputs}, {outputs}, {job_id} are known.",
    )
    function: str | None = Field(
        default=None,
        pattern=_FUNCTION,
        description="The Python function, such as my_site.cutout:cutout.",
    )
    python: str = Field(
        default="{python}",
        description="The interpreter of a function; by default the server's own.",
    )
    path: tuple[str, ...] = Field(
        default=("{here}",), description="Folders where the function's modules are looked for, too."
    )
    environment: Mapping[str, str] = Field(
        default={}, description="Environment variables of the jobs."
    )
    parameters: Mapping[str, ParameterSettings] = Field(
        default={}, description="The input parameters, by name; a function tells its own."
    )
    results: Mapping[str, ResultSettings] = Field(
        default={},
        description='The results, by id; the main one is "result". A function tells its own.',
    )
    examples: Mapping[str, ExampleSettings] = Field(
        default={}, description="Examples of its use, by id; each is checked as a job would be."
    )
    limits: LimitSettings = Field(default=LimitSettings(), description="Limits of time and size.")
    fetch: FetchSettings = Field(default=FetchSettings(), description="Inputs given by their URL.")
    anonymous: bool | None = Field(
        default=None,
        description="Whether callers who do not log in may make jobs; by default what "
        "auth.anonymous says.",
    )
    requires: tuple[str, ...] = Field(
        default=(), description="Paths without which the service cannot work; {here} is known."
    )
    hint: str = Field(default="", description="What to do when one of them is missing.")

    @field_validator("parameters")
    @classmethod
    def _check_names(
        cls, parameters: Mapping[str, ParameterSettings]
    ) -> Mapping[str, ParameterSettings]:
        seen: dict[str, str] = {}
        for name in parameters:
            if not _NAME.fullmatch(name):
                raise ValueError(f"a parameter is named with A-Z a-z 0-9 _ . -, not {name!r}")
            if name.upper() in CONTROLS:
                raise ValueError(f"{name} has a meaning of its own in UWS or DALI")
            if (other := seen.setdefault(variable(name), name)) != name:
                raise ValueError(f"{other} and {name} are one name to clients or in variables")
        return parameters

    @field_validator("results")
    @classmethod
    def _check_ids(cls, results: Mapping[str, ResultSettings]) -> Mapping[str, ResultSettings]:
        for name in results:
            if not IDENTIFIER.fullmatch(name) or name in RESERVED:
                raise ValueError(
                    f"a result is named with A-Z a-z 0-9 _ . -, and not {', '.join(RESERVED)}: "
                    f"{name!r}"
                )
        if results and MAIN not in results:
            raise ValueError(f'one of the results has to be "{MAIN}", where clients look first')
        return results

    @field_validator("examples")
    @classmethod
    def _check_example_ids(
        cls, examples: Mapping[str, ExampleSettings]
    ) -> Mapping[str, ExampleSettings]:
        for name in examples:
            if not IDENTIFIER.fullmatch(name):
                raise ValueError(f"an example is named with A-Z a-z 0-9 _ . -, not {name!r}")
        return examples

    @field_validator("environment")
    @classmethod
    def _check_variables(cls, environment: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in environment.items():
            if not _VARIABLE.fullmatch(name) or "\0" in value:
                raise ValueError(f"no variable of one's own: {name!r} (UWSD_ is taken)")
        return environment

    @field_validator("python", "requires", "path")
    @classmethod
    def _check_places(cls, paths: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for path in [paths] if isinstance(paths, str) else paths:
            _require_only_here(path)
        return paths

    @model_validator(mode="after")
    def _check_capability(self) -> Self:
        if self.capability == "command" and not self.command:
            raise ValueError('the capability "command" needs a command')
        if self.capability == "function" and not self.function:
            raise ValueError('the capability "function" needs a function')
        if self.capability != "function" and self.function:
            raise ValueError('function is for the capability "function"')
        if self.capability == "function" and (self.command or self.parameters or self.results):
            raise ValueError("a function tells its own parameters and results, and is the command")
        return self

    @model_validator(mode="after")
    def _check_command(self) -> Self:
        CommandLine(self.command, self.declared())
        return self

    def declared(self) -> tuple[InputParam, ...]:
        """Return the declarations of the parameters."""
        return tuple(settings.declared(name) for name, settings in self.parameters.items())


def variable(name: str) -> str:
    """Return the name of the environment variable for a parameter, without its prefix."""
    return re.sub(r"[.-]", "_", name).upper()


def _require_only_here(path: str) -> None:
    others = set(Argument.read(path).names) - {"here", "python"}
    if others:
        raise ValueError(f"{path!r}: only {{here}} and {{python}} are known here")
