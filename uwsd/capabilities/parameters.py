"""The declaration of one input parameter (VODataService 1.2's InputParam, DALI 1.2 section 4)."""

from dataclasses import dataclass

from uwsd.capabilities.values import FORMS, ParameterType, Value
from uwsd.uws.errors import BadRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class InputParam:
    """What a service says of one parameter; names are equal in any case (DALI 1.2 section 4.1)."""

    name: str
    type: ParameterType = ParameterType.STRING
    description: str = ""
    unit: str | None = None
    ucd: str | None = None
    minimum: float | None = None  #: the least value, included; numbers only
    maximum: float | None = None  #: the greatest value, included; numbers only
    values: tuple[str, ...] = ()  #: all values, of an enum only
    default: str | None = None  #: written as a client would write it
    required: bool = False
    repeatable: bool = False

    @property
    def is_file(self) -> bool:
        """Whether the value is the content of a file."""
        return self.type is ParameterType.FILE

    @property
    def datatype(self) -> str:
        """VOTable's datatype."""
        return FORMS[self.type].datatype

    @property
    def arraysize(self) -> str | None:
        """VOTable's arraysize; None for a scalar."""
        return FORMS[self.type].arraysize

    @property
    def xtype(self) -> str | None:
        """DALI's xtype, or None."""
        return FORMS[self.type].xtype

    @property
    def simple_type(self) -> str:
        """VODataService's SimpleDataType, of the elements if there is an arraysize."""
        return FORMS[self.type].simple

    @property
    def takes(self) -> str:
        """What it takes, for people: completes the sentence "the parameter takes ..."."""
        if self.type is ParameterType.ENUM:
            return f"one of {', '.join(self.values)}"
        return f"{FORMS[self.type].takes}{self._bounds()}"

    def parse(self, text: str) -> Value:
        """Return the value that ``text`` writes, or raise `BadRequest` saying what it takes."""
        try:
            value = FORMS[self.type].read(text)
        except ValueError:
            raise self._refusal(text) from None
        if not self._allows(value):
            raise self._refusal(text)
        return value

    def _bounds(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        match self.minimum, self.maximum:
            case None, None:
                return f" ({self.unit})" if self.unit else ""
            case minimum, None:
                return f" of at least {minimum}{unit}"
            case None, maximum:
                return f" of at most {maximum}{unit}"
            case minimum, maximum:
                return f" from {minimum} to {maximum}{unit}"

    def _allows(self, value: Value) -> bool:
        if self.type is ParameterType.ENUM:
            return value in self.values
        if isinstance(value, int | float):
            return (self.minimum is None or value >= self.minimum) and (
                self.maximum is None or value <= self.maximum
            )
        return True

    def _refusal(self, text: str) -> BadRequest:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        return BadRequest(f"{self.name} takes {self.takes}, not {shown!r}")


_SHOWN = 60

RUNID = InputParam(name="RUNID", description="A name of your own for the job, to find it by")
"""What any job takes (DALI 1.2 section 4.3.6)."""

RUN = InputParam(
    name="PHASE",
    type=ParameterType.ENUM,
    values=("RUN",),
    description="Starts the job at once; without it, the job waits to be told",
)
"""What creates a job that runs (UWS 1.1 section 2.2.3.1)."""
