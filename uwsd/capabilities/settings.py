"""The table ``[services.NAME]`` of the configuration: how an author declares a service.

The description of each field is its help text. Whatever can be wrong about a declaration is
found when it is read, and said in a sentence.
"""

import re
from collections.abc import Mapping
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

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
from uwsd.capabilities.results import IDENTIFIER, OF_NOTEBOOK, RESERVED
from uwsd.uws.job import MAIN

CONTROLS = frozenset(
    {"PHASE", "RUNID", "ACTION", "WAIT", "UPLOAD"}
    | {"EXECUTIONDURATION", "DESTRUCTION", "LAST", "AFTER"}
)
"""Names with a meaning of their own in UWS and DALI."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"(?!UWSD_)[A-Za-z_][A-Za-z0-9_]*")
_KERNEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_FUNCTION = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
_CAPABILITY = r"^(command|function|notebook|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+)$"


class ServiceSettings(Table):
    """One service."""

    capability: str = Field(
        default="command",
        pattern=_CAPABILITY,
        description='What it is: "command", "function", "notebook", or the dotted name of your own '
        "module.",
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
    notebook: str | None = Field(
        default=None,
        pattern=r"[^/]\.ipynb$",
        description="The Jupyter notebook, such as {here}/sed.ipynb; its cell with the tag "
        "`parameters` tells the parameters.",
    )
    kernel: str | None = Field(
        default=None,
        pattern=_KERNEL,
        description="The kernel of the notebook; by default the one that the notebook names.",
    )
    python: str = Field(
        default="{python}",
        description="The interpreter of a function, or of a notebook's environment, which has "
        "papermill and ipykernel in it; by default the server's own.",
    )
    path: tuple[str, ...] = Field(
        default=("{here}",),
        description="Folders where the modules of a function or a notebook are looked for, too.",
    )
    environment: Mapping[str, str] = Field(
        default={}, description="Environment variables of the jobs."
    )
    parameters: Mapping[str, ParameterSettings] = Field(
        default={},
        description="The input parameters, by name. A function tells its own; of a notebook's "
        "own, what is said here comes first.",
    )
    results: Mapping[str, ResultSettings] = Field(
        default={},
        description='The results, by id; the main one is "result". A function tells its own; '
        "of a notebook, the executed notebook is the main one.",
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
        cls, parameters: Mapping[str, ParameterSettings], info: ValidationInfo
    ) -> Mapping[str, ParameterSettings]:
        seen: dict[str, str] = {}
        for name, settings in parameters.items():
            # A notebook has a type of its own for what is said of its parameters here.
            if info.data.get("capability") != "notebook" and (why := settings.misfit()):
                raise ValueError(f"{name}: {why}")
            if not _NAME.fullmatch(name):
                raise ValueError(f"a parameter is named with A-Z a-z 0-9 _ . -, not {name!r}")
            if name.upper() in CONTROLS:
                raise ValueError(f"{name} has a meaning of its own in UWS or DALI")
            if (other := seen.setdefault(variable(name), name)) != name:
                raise ValueError(f"{other} and {name} are one name to clients or in variables")
        return parameters

    @field_validator("results")
    @classmethod
    def _check_ids(
        cls, results: Mapping[str, ResultSettings], info: ValidationInfo
    ) -> Mapping[str, ResultSettings]:
        is_notebook = info.data.get("capability") == "notebook"
        for name in results:
            if is_notebook and name in OF_NOTEBOOK:
                raise ValueError(f"{name} is what the notebook itself becomes")
            if not IDENTIFIER.fullmatch(name) or name in RESERVED:
                raise ValueError(
                    f"a result is named with A-Z a-z 0-9 _ . -, and not {', '.join(RESERVED)}: "
                    f"{name!r}"
                )
        if results and MAIN not in results and not is_notebook:
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

    @field_validator("notebook", "python", "requires", "path")
    @classmethod
    def _check_places(cls, paths: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for path in [paths] if isinstance(paths, str) else paths or ():
            _require_only_here(path)
        return paths

    @model_validator(mode="after")
    def _check_capability(self) -> Self:
        for name in ("command", "function", "notebook"):
            if self.capability == name and not getattr(self, name):
                raise ValueError(f'the capability "{name}" needs a {name}')
        for name, owner in (("function",) * 2, ("notebook",) * 2, ("kernel", "notebook")):
            if self.capability != owner and getattr(self, name):
                raise ValueError(f'{name} is for the capability "{owner}"')
        if self.capability == "function" and (self.command or self.parameters or self.results):
            raise ValueError("a function tells its own parameters and results, and is the command")
        if self.capability == "notebook" and self.command:
            raise ValueError("a notebook is the command itself")
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
