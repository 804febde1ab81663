"""Every type of parameter: what it takes, what it refuses, and what it says then."""

import time

import pytest

from uwsd.capabilities.parameters import InputParam
from uwsd.capabilities.values import FORMS, ParameterType, Value
from uwsd.uws.errors import BadRequest

GOOD: list[tuple[str, str, Value]] = [
    ("string", "", ""),
    ("string", " a\0\n'\"{X} ", " a\0\n'\"{X} "),
    ("integer", "0", 0),
    ("integer", "-5", -5),
    ("integer", "+007", 7),
    ("integer", "9223372036854775807", 2**63 - 1),
    ("integer", "-9223372036854775808", -(2**63)),
    ("real", "1", 1.0),
    ("real", "-1.5e-3", -0.0015),
    ("real", ".5", 0.5),
    ("real", "5.", 5.0),
    ("real", "1E10", 1e10),
    ("boolean", "1", True),
    ("boolean", "T", True),
    ("boolean", "t", True),
    ("boolean", "true", True),
    ("boolean", "TRUE", True),
    ("boolean", "0", False),
    ("boolean", "F", False),
    ("boolean", "false", False),
    ("timestamp", "2000-01-02", "2000-01-02"),
    ("timestamp", "2000-01-02T15:20:30", "2000-01-02T15:20:30"),
    ("timestamp", "2000-01-02T15:20:30.456", "2000-01-02T15:20:30.456"),
    ("timestamp", "2000-01-02T15:20:30.456Z", "2000-01-02T15:20:30.456Z"),
    ("file", "anything at all", "anything at all"),
    ("interval", "0.5 1.0", (0.5, 1.0)),
    ("interval", "-Inf 0.0", (None, 0.0)),
    ("interval", "0.0 +Inf", (0.0, None)),
    ("interval", "-Inf +Inf", (None, None)),
    ("interval", "0 Inf", (0.0, None)),
    ("interval", "1.0  1.0", (1.0, 1.0)),
    ("point", "12.3 45.6", (12.3, 45.6)),
    ("point", "362.0 -90", (362.0, -90.0)),
    ("circle", "12.3 45.6 0.5", (12.3, 45.6, 0.5)),
    ("circle", "0 0 180", (0.0, 0.0, 180.0)),
    ("polygon", "10 10 10.2 10 10.2 10.2", (10.0, 10.0, 10.2, 10.0, 10.2, 10.2)),
]

BAD = [
    *[("integer", t) for t in ("", " 1", "1 ", "1.0", "1e3", "0x1F", "--1", "٣", "1_000", "NaN")],
    *[("integer", t) for t in ("9223372036854775808", "-9223372036854775809", "9" * 10**6)],
    *[("real", t) for t in ("", "NaN", "Inf", "-inf", "1e999", "1,5", "1_0", ".", "e5", "0x1p3")],
    *[("real", t) for t in ("1" * 65, "1" * 10**6, "1\n", "٣.٥")],
    *[("boolean", t) for t in ("", "yes", "2", "on", " true", "truetrue", "?")],
    *[("timestamp", t) for t in ("", "2000", "2000-13-01", "2000-02-30", "2000-01-02 15:20:30")],
    *[("timestamp", t) for t in ("2000-01-02T15:20:30+01:00", "2000-01-02T15", "2451545.0")],
    *[("timestamp", t) for t in ("2000-01-02T24:00:01", "2000-01-02T15:20:30Z\n", "2000-01-02Z")],
    *[("interval", t) for t in ("", "1", "2 1", "1 2 3", "NaN 1", "+Inf +Inf", "-Inf -Inf", "a b")],
    *[("point", t) for t in ("", "1", "1 2 3", "0 90.1", "0 -91", "NaN 0", "Inf 0", "12.3,45.6")],
    *[("circle", t) for t in ("", "1 2", "1 2 -1", "1 2 180.1", "1 91 1", "1 2 3 4", "1 2 NaN")],
    *[("polygon", t) for t in ("", "1 2 3 4", "1 2 3 4 5", "1 2 3 4 5 6 7", "0 0 0 91 1 1")],
]


@pytest.mark.parametrize(("kind", "text", "value"), GOOD)
def test_a_good_value_is_read(kind: str, text: str, value: Value) -> None:
    read = InputParam(name="X", type=ParameterType(kind)).parse(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_a_bad_value_is_refused_quickly_in_a_short_sentence(kind: str, text: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(BadRequest) as refusal:
        InputParam(name="MY_NAME", type=ParameterType(kind)).parse(text)
    assert time.perf_counter() - begin < 0.1
    sentence = str(refusal.value)
    assert sentence.startswith("MY_NAME takes ")
    assert repr(text[:60])[:-1] in sentence
    assert len(sentence) < 300
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("param", "good", "bad", "sentence"),
    [
        (
            InputParam(name="N", type=ParameterType.INTEGER, minimum=0, maximum=255),
            ["0", "255"],
            "256",
            "N takes an integer from 0 to 255, not '256'",
        ),
        (
            InputParam(name="R", type=ParameterType.REAL, minimum=0.5, unit="deg"),
            ["0.5", "1e300"],
            "0.49",
            "R takes a real number of at least 0.5 deg, not '0.49'",
        ),
        (
            InputParam(name="R", type=ParameterType.REAL, maximum=-1),
            ["-1", "-1e300"],
            "0",
            "R takes a real number of at most -1, not '0'",
        ),
        (
            InputParam(name="R", type=ParameterType.REAL, unit="Jy"),
            ["-1"],
            "bright",
            "R takes a real number (Jy), not 'bright'",
        ),
        (
            InputParam(name="BAND", type=ParameterType.ENUM, values=("g", "r")),
            ["g", "r"],
            "G",
            "BAND takes one of g, r, not 'G'",
        ),
    ],
)
def test_a_value_has_to_be_among_those_declared(
    param: InputParam, good: list[str], bad: str, sentence: str
) -> None:
    for text in good:
        param.parse(text)
    with pytest.raises(BadRequest) as refusal:
        param.parse(bad)
    assert str(refusal.value) == sentence


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(BadRequest, match="…") as refusal:
        InputParam(name="X", type=ParameterType.REAL).parse("z" * 10_000)
    assert len(str(refusal.value)) < 120


def test_each_type_has_the_votable_metadata_of_dali() -> None:
    said = {
        str(kind): (p.datatype, p.arraysize, p.xtype, p.simple_type)
        for kind in FORMS
        for p in [InputParam(name="X", type=kind)]
    }
    assert said == {
        "string": ("char", "*", None, "string"),
        "integer": ("long", None, None, "integer"),
        "real": ("double", None, None, "real"),
        "boolean": ("boolean", None, None, "boolean"),
        "enum": ("char", "*", None, "string"),
        "timestamp": ("char", "*", "timestamp", "string"),
        "file": ("char", "*", None, "string"),
        "interval": ("double", "2", "interval", "real"),
        "point": ("double", "2", "point", "real"),
        "circle": ("double", "3", "circle", "real"),
        "polygon": ("double", "*", "polygon", "real"),
    }
    assert set(FORMS) == set(ParameterType)
