"""A Python function as a service, from its declaration to its results."""

import json
import os
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from uwsd.capabilities.described import Undescribed
from uwsd.capabilities.function import Function
from uwsd.capabilities.settings import ServiceSettings
from uwsd.uws.errors import BadRequest
from uwsd.uws.job import Job, Parameter

CODE = '''
from pathlib import Path
from typing import Annotated, Literal

def cutout(
    file: Path,
    ra: Annotated[float, {"unit": "deg", "range": (0, 360), "description": "Where"}],
    band: Literal["g", "r"] = "g",
    tag: list[str] = [],
):
    """Cut out a part of the sky.

    In one band.
    """
    text = f"{file.read_text()} {ra + 1} {band} {tag}"
    Path("sky.fits").write_text(text)
    return {"image": Path("sky.fits"), "note": "done", "count": 1}

def told(phase: int): pass
def endless(x: float = float("inf")): pass
'''


def function(here: Path, text: str = "", name: str = "cutout") -> Function:
    (here / "my_site.py").write_text(CODE)
    declared = f'capability = "function"\nfunction = "my_site:{name}"\n{text}'
    return Function("sky", ServiceSettings.model_validate(tomllib.loads(declared)), here)


def job(**values: str) -> Job:
    parameters = tuple(Parameter(name=name, value=value) for name, value in values.items())
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return Job(id="1", service="sky", created=at, parameters=parameters)


def test_the_signature_is_the_declaration(tmp_path: Path) -> None:
    sky = function(tmp_path)
    assert (sky.name, sky.title, sky.description) == (
        "sky",
        "Cut out a part of the sky",
        "In one band.",
    )
    ra = next(p for p in sky.parameters if p.name == "ra")
    assert (ra.type, ra.unit, ra.minimum, ra.maximum) == ("real", "deg", 0, 360)
    assert ra.description == "Where"
    assert [p.name for p in sky.parameters if p.required] == ["file", "ra"]
    assert [p.name for p in sky.parameters if p.repeatable] == ["tag"]
    assert sky.takes_file("FILE")


def test_the_configuration_has_the_last_word(tmp_path: Path) -> None:
    sky = function(
        tmp_path,
        'title = "Sky"\ndescription = "All of it."\nbackend = "slurm"\n'
        'limits = { max_duration = 60, memory = "1 GiB" }\nenvironment = { A = "b" }',
    )
    assert (sky.title, sky.description, sky.backend) == ("Sky", "All of it.", "slurm")
    assert sky.limits.max_duration == 60
    task = sky.task(job(file="x", ra="1"), Path("/jobs/1"))
    assert (task.memory, task.environment["A"]) == (2**30, "b")


def test_an_example_that_the_function_would_not_take_is_refused(tmp_path: Path) -> None:
    example = '[examples.one]\ntitle = "x"\nparameters = { file = "text", ra = %s }'
    assert function(tmp_path, example % 360).examples[0].parameters[1] == ("ra", "360")
    with pytest.raises(Undescribed, match="example one of the service sky: ra takes a real"):
        function(tmp_path, example % 361)


def test_what_clients_send_is_checked_against_it(tmp_path: Path) -> None:
    sky = function(tmp_path)
    assert sky.check(job(RA="10", nonsense="1").parameters) == ("nonsense",)
    assert sky.missing(job(RA="10")) == ("file",)
    with pytest.raises(BadRequest, match="ra takes a real number from 0 to 360 deg, not '400'"):
        sky.check(job(RA="400").parameters)


def test_a_job_calls_the_function_and_keeps_what_it_returned(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    for folder in ("inputs", "outputs"):
        (workspace / folder).mkdir(parents=True)
    sky = function(tmp_path)
    task = sky.task(job(FILE="stars", RA="1.5", BAND="r", TAG="-x {ra}"), workspace)
    assert (task.command[0], task.command[1]) == (sys.executable, "-I")
    for path, content in task.files.items():
        (workspace / path).write_bytes(content)
    outputs = workspace / "outputs"
    subprocess.run(task.command, env=dict(task.environment), cwd=outputs, check=True)
    made = {
        str(p.relative_to(outputs)): p.stat().st_size for p in outputs.rglob("*") if p.is_file()
    }
    results = sky.results(made)
    assert [(r.id, r.path, r.media_type) for r in results] == [
        ("result", "outputs/returned/result/sky.fits", "application/fits"),
        ("count", "outputs/returned/count/count.json", "application/json"),
        ("note", "outputs/returned/note/note.txt", "text/plain"),
    ]
    assert (workspace / results[0].path).read_text() == "stars 2.5 r ['-x {ra}']"


def test_only_what_was_returned_under_an_id_is_a_result(tmp_path: Path) -> None:
    outputs = ["scratch", "returned/x", "returned/a b/x", "returned/stdout/x", "returned/a/b/c"]
    assert function(tmp_path).results(dict.fromkeys(outputs, 1)) == []
    (first,) = function(tmp_path).results({"returned/a/2": 1, "returned/a/1": 1})
    assert first.path == "outputs/returned/a/1"


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("nothing", "", "my_site:nothing cannot be a service: AttributeError"),
        ("told", "", "cannot be a service: .*phase has a meaning of its own"),
        ("endless", "", "cannot be a service: parameters.x.*default takes a real number"),
        ("cutout", 'python = "/nowhere/python"', "cannot be described: .*/nowhere/python"),
        ("cutout", 'python = "/bin/false"', "cannot be a service: it says nothing"),
        ("cutout", 'path = ["elsewhere"]', "No module named 'my_site'"),
    ],
)
def test_a_function_that_cannot_be_a_service_is_said(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    with pytest.raises(Undescribed, match=sentence) as error:
        function(tmp_path, text, name)
    assert "\n" not in str(error.value)


def test_modules_are_found_in_the_folders_of_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "li{b}"
    folder.mkdir()
    (folder / "extra.py").write_text("def f(): return 'x'\n")
    settings = ServiceSettings(
        capability="function", function="extra:f", path=("li{{b}}", str(tmp_path / "none"))
    )
    task = Function("x", settings, tmp_path).task(job(), Path("/jobs/1"))
    assert task.command[2:5] == ("/jobs/1/function.py", "call", "extra:f")
    assert task.command[5:] == (str(folder), str(tmp_path / "none"))


def test_the_server_neither_imports_the_module_nor_shows_it_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UWSD_DATABASE_URL", "secret")
    (tmp_path / "curious.py").write_text(
        "import json, os\n"
        "def f(): pass\n"
        f"open({str(tmp_path / 'seen')!r}, 'w').write(json.dumps([os.getpid(), *os.environ]))\n"
    )
    settings = ServiceSettings(capability="function", function="curious:f")
    Function("x", settings, tmp_path)
    process, *variables = json.loads((tmp_path / "seen").read_text())
    assert process != os.getpid()
    assert set(variables) <= {"PATH", "LANG", "HOME", "LC_CTYPE"}
    assert "curious" not in sys.modules
