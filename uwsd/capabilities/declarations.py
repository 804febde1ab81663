"""The tables below ``[services.NAME]``: parameters, results, limits, inputs by reference.

The description of each field is its help text.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator, model_validator

from uwsd.capabilities.base import Example, ResultRule
from uwsd.capabilities.parameters import InputParam
from uwsd.capabilities.results import media_type
from uwsd.capabilities.values import ParameterType
from uwsd.uws.errors import BadRequest
from uwsd.uws.joblist import MAX_DURATION, Limits

_NUMBERS = frozenset({ParameterType.INTEGER, ParameterType.REAL})
_INFINITE = float("inf")

Seconds = Annotated[int, Field(ge=0, le=MAX_DURATION)]
_UNLESS_SAID = Limits()
Number = int | float
Text = bool | Number | str


class Table(BaseModel):
    """A table of the configuration: no key but those that it names, and no change later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ParameterSettings(Table):
    """One input parameter, below ``parameters.NAME``."""

    type: ParameterType = Field(
        default=ParameterType.STRING,
        description="What it takes; anything else is refused with a reason.",
    )
    description: str = Field(default="", description="What it means, in a sentence for people.")
    unit: str | None = Field(
        default=None, description="The unit of its values, in VOUnits, such as deg."
    )
    ucd: str | None = Field(
        default=None, description="What kind of quantity it is, such as pos.eq.ra."
    )
    range: tuple[Number | None, Number | None] | None = Field(
        default=None,
        description="The least and the greatest number it takes; -inf or inf for no bound.",
    )
    values: tuple[str, ...] = Field(default=(), description="All that an enum takes.")
    default: Text | None = Field(default=None, description="The value when a client gives none.")
    required: bool = Field(default=False, description="Whether a job cannot run without it.")
    repeatable: bool = Field(default=False, description="Whether it may be given more than once.")

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if "type" in self.model_fields_set and (why := self.misfit()):
            raise ValueError(why)
        low, high = self._bounds()
        if low is not None and high is not None and not low <= high:
            raise ValueError(f"range takes the least value first, not [{low}, {high}]")
        return self

    @model_validator(mode="after")
    def _check_default(self) -> Self:
        if self.default is None:
            return self
        if self.type is ParameterType.FILE:
            raise ValueError("a file has no default; let the command do without it")
        if self.required:
            raise ValueError("a parameter with a default cannot be required")
        try:
            self.declared("default").parse(_written(self.default))
        except BadRequest as error:
            raise ValueError(str(error)) from None
        return self

    def misfit(self) -> str | None:
        """Say what is declared that the type has not, or None."""
        if self.range is not None and self.type not in _NUMBERS:
            return f"range is for integer and real; {self.type} has none"
        if (self.type is ParameterType.ENUM) != bool(self.values):
            return "an enum needs values, and values need the type enum"
        return None

    def declared(self, name: str) -> InputParam:
        """Return the declaration of the parameter ``name``."""
        minimum, maximum = self._bounds()
        return InputParam(
            name=name,
            type=self.type,
            description=self.description,
            unit=self.unit,
            ucd=self.ucd,
            minimum=minimum,
            maximum=maximum,
            values=self.values,
            default=None if self.default is None else _written(self.default),
            required=self.required,
            repeatable=self.repeatable,
        )

    def _bounds(self) -> tuple[Number | None, Number | None]:
        low, high = self.range or (None, None)
        return (None if low == -_INFINITE else low), (None if high == _INFINITE else high)


class ResultSettings(Table):
    """One result, or one kind of result, below ``results.ID``."""

    path: str = Field(
        min_length=1,
        description="The file, relative to the working folder; * ? [a-z] stand for several.",
    )
    media_type: str | None = Field(
        default=None,
        min_length=1,
        description="Its media type; by default what the file's name tells.",
    )
    required: bool = Field(
        default=True, description="Whether a job has failed that does not make it."
    )

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if path.startswith("/") or "\0" in path or {"", ".", ".."} & set(path.split("/")):
            raise ValueError(f"a result is a file below the working folder, not {path!r}")
        return path

    def declared(self, name: str) -> ResultRule:
        """Return the rule for the result ``name``."""
        kind = self.media_type or media_type(self.path)
        return ResultRule(id=name, path=self.path, media_type=kind, required=self.required)


class ExampleSettings(Table):
    """One example, below ``examples.ID``."""

    title: str = Field(min_length=1, description="Its name for people, in a few words.")
    description: str = Field(default="", description="What it shows, in a sentence for people.")
    parameters: Mapping[str, Text | tuple[Text, ...]] = Field(
        default={}, description="The values, by parameter; a list for one that is repeated."
    )

    def declared(self, name: str) -> Example:
        """Return the example ``name``."""
        values = [
            (parameter, _written(value))
            for parameter, given in self.parameters.items()
            for value in (given if isinstance(given, tuple) else (given,))
        ]
        return Example(
            id=name, title=self.title, description=self.description, parameters=tuple(values)
        )


class LimitSettings(Table):
    """How much the jobs of a service may use, below ``limits``."""

    default_duration: Seconds = Field(
        default=_UNLESS_SAID.default_duration,
        description="Seconds a job may run that asks for nothing.",
    )
    max_duration: Seconds = Field(
        default=_UNLESS_SAID.max_duration, description="Seconds any job may run; 0: no limit."
    )
    default_destruction: Seconds = Field(
        default=_UNLESS_SAID.default_destruction,
        description="Seconds a job is kept that asks for nothing.",
    )
    max_destruction: Seconds = Field(
        default=_UNLESS_SAID.max_destruction, description="Seconds any job is kept; 0: no limit."
    )
    max_upload: ByteSize = Field(
        default=ByteSize(_UNLESS_SAID.max_upload),
        description='Bytes of one input, such as "100 MiB".',
    )
    memory: ByteSize = Field(
        default=ByteSize(0), description='Memory a job may use, such as "4 GiB"; 0: no limit.'
    )
    cpus: float = Field(
        default=0,
        ge=0,
        description="Processors a job may use, where the engine can see to it; 0: its default.",
    )
    gpus: int = Field(default=0, ge=0, description="GPUs a job gets, where the engine has some.")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for default, most in _PAIRS:
            asked, limit = getattr(self, default), getattr(self, most)
            if default in self.model_fields_set and limit and not 0 < asked <= limit:
                raise ValueError(f"{default} has to be from 1 to {most}, {limit}, not {asked}")
        return self

    def declared(self) -> Limits:
        """Return the limits as the job list keeps them; what is not said fits what is."""
        return Limits(
            default_duration=min(self.default_duration, self.max_duration or MAX_DURATION),
            max_duration=self.max_duration,
            default_destruction=min(self.default_destruction, self.max_destruction or MAX_DURATION),
            max_destruction=self.max_destruction,
            max_upload=int(self.max_upload),
        )


_PAIRS = (("default_duration", "max_duration"), ("default_destruction", "max_destruction"))


class FetchSettings(Table):
    """Which inputs may be given by their URL, below ``fetch``."""

    schemes: tuple[Literal["https", "http"], ...] = Field(
        default=("https", "http"), description="The kinds of URL that are fetched; [] for none."
    )
    private_addresses: bool = Field(
        default=False,
        description="Whether hosts of this machine and of private networks are asked.",
    )
    anonymous: bool = Field(
        default=False, description="Whether callers who do not log in may have URLs fetched, too."
    )
    timeout: float = Field(default=300, gt=0, description="Seconds that one transfer may take.")


def _written(value: Text) -> str:
    """Return a value of the configuration as a client would write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
