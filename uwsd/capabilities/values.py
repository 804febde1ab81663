"""The types of parameters, and how their values are written (DALI 1.2 section 3).

A value stays the text that the client sent: that is what a command is given. Reading it here
checks it, and gives the typed value that goes into ``parameters.json``.

Numbers are written as in VOTable's TABLEDATA (sections 3.1 and 3.2), with two things left out.
NaN, VOTable's null, is no number: a parameter without a value is one that is not sent; and
only an interval may be without end. Integers are decimal: not every program reads ``0x1F``.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Value = str | int | float | bool | tuple[float | None, ...]
"""A value as JSON can hold it; None is the open end of an interval."""


class ParameterType(StrEnum):
    """What a parameter can be, as the configuration writes it."""

    STRING = "string"
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    ENUM = "enum"
    TIMESTAMP = "timestamp"
    FILE = "file"
    INTERVAL = "interval"
    POINT = "point"
    CIRCLE = "circle"
    POLYGON = "polygon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the values of one type are written, for people, for machines and for VOTable."""

    takes: str  #: completes the sentence "the parameter takes ..."
    read: Callable[[str], Value]  #: raises ValueError
    datatype: str = "char"  #: VOTable's
    arraysize: str | None = "*"  #: VOTable's; None for a scalar
    xtype: str | None = None  #: DALI's
    simple: str = "string"  #: VODataService's SimpleDataType


_LONGEST_NUMBER = 64
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z?)?"
)
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


def _integer(text: str) -> int:
    """Read an integer of at most 64 bits, VOTable's long."""
    if not _INTEGER.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ValueError
    return int(text)


def _real(text: str) -> float:
    if len(text) > _LONGEST_NUMBER or not _REAL.fullmatch(text):
        raise ValueError
    number = float(text)
    if math.isinf(number):
        raise ValueError
    return number


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError from None


def _timestamp(text: str) -> str:
    """Check ``YYYY-MM-DD['T'hh:mm:ss[.SSS]['Z']]`` (section 3.3); UTC, with a ``Z`` or without."""
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError
    datetime.fromisoformat(text)
    return text


def _interval(text: str) -> tuple[float | None, float | None]:
    """Read two bounds, both included (section 3.4)."""
    low, high = text.split()
    lower = None if low.lower() == "-inf" else _real(low)
    upper = None if high.lower() in {"+inf", "inf"} else _real(high)
    if lower is not None and upper is not None and lower > upper:
        raise ValueError
    return lower, upper


def _point(text: str) -> tuple[float, ...]:
    return _position(*text.split())


def _circle(text: str) -> tuple[float, ...]:
    longitude, latitude, size = text.split()
    radius = _real(size)
    if not 0 <= radius <= 180:
        raise ValueError
    return *_position(longitude, latitude), radius


def _polygon(text: str) -> tuple[float, ...]:
    """Read the vertices of a polygon, which closes itself."""
    numbers = text.split()
    if len(numbers) < 6:
        raise ValueError
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(number for pair in pairs for number in _position(*pair))


def _position(*numbers: str) -> tuple[float, float]:
    """Read a longitude and a latitude.

    DALI 1.2 takes any longitude, since 362 is 2. It takes any latitude too, but nobody has said
    what one beyond a pole would be.
    """
    longitude, latitude = (_real(number) for number in numbers)
    if abs(latitude) > 90:
        raise ValueError
    return longitude, latitude


FORMS: Mapping[ParameterType, Form] = {
    ParameterType.STRING: Form(takes="a text", read=str),
    ParameterType.INTEGER: Form(
        takes="an integer", read=_integer, datatype="long", arraysize=None, simple="integer"
    ),
    ParameterType.REAL: Form(
        takes="a real number", read=_real, datatype="double", arraysize=None, simple="real"
    ),
    ParameterType.BOOLEAN: Form(
        takes="true or false",
        read=_boolean,
        datatype="boolean",
        arraysize=None,
        simple="boolean",
    ),
    ParameterType.ENUM: Form(takes="one of", read=str),
    ParameterType.TIMESTAMP: Form(
        takes="a UTC time such as 2026-11-24T03:58:00Z", read=_timestamp, xtype="timestamp"
    ),
    ParameterType.FILE: Form(takes="a file, or the URL of one", read=str),
    ParameterType.INTERVAL: Form(
        takes="two numbers such as 0.5 1, the lower one first, -Inf or +Inf for an open end",
        read=_interval,
        datatype="double",
        arraysize="2",
        xtype="interval",
        simple="real",
    ),
    ParameterType.POINT: Form(
        takes="a longitude and a latitude in degrees, such as 12.3 45.6",
        read=_point,
        datatype="double",
        arraysize="2",
        xtype="point",
        simple="real",
    ),
    ParameterType.CIRCLE: Form(
        takes="a longitude, a latitude and a radius in degrees, such as 12.3 45.6 0.5",
        read=_circle,
        datatype="double",
        arraysize="3",
        xtype="circle",
        simple="real",
    ),
    ParameterType.POLYGON: Form(
        takes="three or more longitudes and latitudes in degrees, such as 10 10 10.2 10 10.2 10.2",
        read=_polygon,
        datatype="double",
        arraysize="*",
        xtype="polygon",
        simple="real",
    ),
}
"""Every type, once."""
