"""The declaration of a service: what is taken, and what is said of the rest."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from uwsd.capabilities.command import Command
from uwsd.capabilities.settings import ServiceSettings

BUNDLED = Path(__file__).parents[2] / "uwsd" / "bundled" / "uwsd.toml"


def declare(text: str) -> ServiceSettings:
    return ServiceSettings.model_validate(tomllib.loads(text))


SMALL = """
title = "Word count"
command = ["wc", "--words", "--", "{FILE}"]
parameters.FILE = { type = "file", required = true }
results.result = { path = "count.txt" }
"""


def test_a_service_takes_a_few_lines() -> None:
    service = Command("words", declare(SMALL), Path("/site"))
    assert (service.name, service.title, service.backend) == ("words", "Word count", "local")
    assert service.standard_id == "ivo://ivoa.net/std/UWS#rest-1.1"
    (file,) = service.parameters
    assert (file.name, file.is_file, file.required) == ("FILE", True, True)
    (rule,) = service.rules
    assert (rule.id, rule.path, rule.media_type) == ("result", "count.txt", "text/plain")


def test_the_bundled_services_are_declared_well() -> None:
    services = tomllib.loads(BUNDLED.read_text())["services"]
    for name, service in services.items():
        Command(name, ServiceSettings.model_validate(service), BUNDLED.parent)


P = 'command = ["run"]\nparameters.'
R = 'command = ["run"]\nresults.'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", '"command" needs a command'),
        ("command = []", '"command" needs a command'),
        ('capability = "function"', '"function" needs a function'),
        ('command = ["a"]\nfunction = "a:b"', 'function is for the capability "function"'),
        ('capability = "function"\nfunction = "a:b"\ncommand = ["a"]', "tells its own parameters"),
        ('capability = "function"\nfunction = "a.b"', "should match pattern"),
        ('capability = "shell"', "should match pattern"),
        ('command = ["run", "{X}"]', "{X} in the command names no parameter"),
        ('command = ["run", "{text}"]\nparameters.TEXT = {}', "known: TEXT, python, here"),
        ('command = ["run", "{X"]\nparameters.X = {}', "a brace is written {{ or }}"),
        ('command = ["run", "}"]', "a brace is written {{ or }}"),
        ('command = ["run", "{}"]', "a place is a name in braces"),
        ('command = ["run", "{X:>9}"]\nparameters.X = {}', "a place is a name in braces"),
        ('command = ["run", "{X!r}"]\nparameters.X = {}', "a place is a name in braces"),
        ('command = ["{X}"]\nparameters.X = {}', "no parameter chooses it"),
        ('command = ["sh", "-c", "echo {X}"]\nparameters.X = {}', "part of a program"),
        ('command = ["env", "/bin/bash", "-ec", "{X}"]\nparameters.X = {}', "part of a program"),
        ('command = ["{python}", "-c", "f({X})"]\nparameters.X = {}', "part of a program"),
        (
            'command = ["run", "{X}{Y}"]\nparameters.X = { repeatable = true }\n'
            "parameters.Y = { repeatable = true }",
            "one repeatable parameter at most",
        ),
        (P + 'X = { type = "number" }', "Input should be 'string', 'integer'"),
        (P + "X = { range = [0, 1] }", "range is for integer and real"),
        (P + 'X = { type = "real", range = [1, 0] }', "the least value first, not [1, 0]"),
        (P + 'X = { type = "real", range = [nan, 0] }', "the least value first"),
        (P + 'X = { type = "enum" }', "an enum needs values"),
        (P + 'X = { values = ["a"] }', "values need the type enum"),
        (
            P + 'X = { type = "integer", default = "five" }',
            "default takes an integer, not 'five'",
        ),
        (P + 'X = { type = "integer", default = 1.5 }', "default takes an integer, not '1.5'"),
        (P + 'X = { type = "real", range = [0, 1], default = 2 }', "from 0 to 1, not '2'"),
        (P + 'X = { type = "file", default = "a" }', "a file has no default"),
        (P + 'X = { required = true, default = "a" }', "cannot be required"),
        (P + "X = { requird = true }", "Extra inputs are not permitted"),
        (P + "PHASE = {}", "PHASE has a meaning of its own"),
        (P + "runid = {}", "runid has a meaning of its own"),
        (P + '"A B" = {}', "a parameter is named with"),
        (P + '"1X" = {}', "a parameter is named with"),
        (P + '"É" = {}', "a parameter is named with"),
        (P + '"../X" = {}', "a parameter is named with"),
        (P + "X = {}\nparameters.x = {}", "X and x are one name"),
        (P + '"a.b" = {}\nparameters.a-b = {}', "a.b and a-b are one name"),
        (R + 'result = { path = "/a/b" }', "a file below the working folder"),
        (R + 'result = { path = "../x" }', "a file below the working folder"),
        (R + 'result = { path = "a//b" }', "a file below the working folder"),
        (R + 'result = { path = "" }', "at least 1 character"),
        (R + 'image = { path = "a.png" }', 'one of the results has to be "result"'),
        (R + '"a b" = { path = "a.png" }', "a result is named with"),
        (R + 'stdout = { path = "a.png" }', "a result is named with"),
        ('command = ["run"]\nlimits = { default_duration = 9, max_duration = 8 }', "from 1 to"),
        ('command = ["run"]\nlimits = { default_duration = 0 }', "from 1 to max_duration, 86400"),
        ('command = ["run"]\nlimits = { max_duration = 2147483648 }', "less than or equal"),
        ('command = ["run"]\nlimits = { memory = "much" }', "could not parse value"),
        ('command = ["run"]\nfetch = { schemes = ["file"] }', "Input should be 'https' or 'http'"),
        ('command = ["run"]\nenvironment = { UWSD_JOB_ID = "1" }', "UWSD_ is taken"),
        ('command = ["run"]\nenvironment = { "A=B" = "1" }', "no variable of one's own"),
        ('command = ["run"]\nrequires = ["{workspace}/x"]', "only {here} and {python} are known"),
        ('comand = ["run"]', "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as error:
        declare(text)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        'command = ["sh", "-c", "wc <$1", "sh", "{FILE}"]\nparameters.FILE = { type = "file" }',
        'command = ["grep", "-e", "{X}"]\nparameters.X = {}',
        'command = ["awk", "{{print}}"]',
        'capability = "my_site.condor"',
        'capability = "function"\nfunction = "my_site.cutout:cutout"',
    ],
)
def test_a_good_declaration_is_taken(text: str) -> None:
    declare(text)


def test_numbers_and_booleans_are_defaults_as_clients_write_them() -> None:
    settings = declare(
        'command = ["run"]\n'
        'parameters.A = { type = "real", range = [-inf, 2.5], default = 6e17 }\n'.replace(
            "2.5", "inf"
        )
        + 'parameters.B = { type = "boolean", default = true }\n'
        'parameters.C = { type = "real", range = [0, inf], default = 0 }\n'
    )
    declared = {p.name: p for p in settings.declared()}
    assert {n: p.default for n, p in declared.items()} == {"A": "6e+17", "B": "true", "C": "0"}
    assert (declared["A"].minimum, declared["A"].maximum) == (None, None)
    assert (declared["C"].minimum, declared["C"].maximum) == (0, None)


def test_limits_are_read_with_their_units_and_fit_together() -> None:
    settings = declare(
        'command = ["run"]\nlimits = { max_duration = 600, memory = "1GiB", max_upload = "2 kB" }'
    )
    limits = settings.limits.declared()
    assert (limits.default_duration, limits.max_duration) == (600, 600)
    assert (limits.max_upload, int(settings.limits.memory)) == (2000, 2**30)


def models(kind: type[BaseModel]) -> list[type[BaseModel]]:
    inner: list[Any] = [kind]
    for field in kind.model_fields.values():
        found = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for one in found:
            if isinstance(one, type) and issubclass(one, BaseModel):
                inner += models(one)
    return inner


def test_every_option_has_its_help_text() -> None:
    tables = models(ServiceSettings)
    assert len(tables) == 6
    for table in tables:
        for name, field in table.model_fields.items():
            assert field.description, f"{table.__name__}.{name}"
