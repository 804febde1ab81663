"""A command as a service: what it refuses, what it runs, what the job finds."""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from uwsd.backends.base import Fetch, Task, TaskRefused
from uwsd.capabilities.command import Command
from uwsd.capabilities.settings import ServiceSettings
from uwsd.uws.errors import BadRequest
from uwsd.uws.job import Job, Parameter, Source

HERE = Path("/site")
WORKSPACE = Path("/jobs/1")
LONGEST = 128 * 1024 - 1


def service(text: str, here: Path = HERE) -> Command:
    return Command("s", ServiceSettings.model_validate(tomllib.loads(text)), here)


def inline(**values: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name=name, value=value) for name, value in values.items())


def job(*parameters: Parameter, duration: int = 0) -> Job:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return Job(id="1", service="s", created=at, parameters=parameters, duration=duration)


def run(task: Task, workspace: Path) -> subprocess.CompletedProcess[str]:
    """Run a task here, as a backend promises to."""
    for folder in ("inputs", "outputs"):
        (workspace / folder).mkdir(exist_ok=True)
    for path, content in task.files.items():
        (workspace / path).write_bytes(content)
    return subprocess.run(
        task.command,
        env=dict(task.environment),
        cwd=workspace / "outputs",
        capture_output=True,
        check=True,
        text=True,
    )


# The command line ------------------------------------------------------------------------------

PLACES = """
command = ["{python}", "{here}/a.py", "--x={X}", "--n={N}", "{{X}}", "{Y}"]
parameters.X = { default = "x" }
parameters.N = { type = "integer" }
parameters.Y = { repeatable = true }
"""


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        (inline(), ["--x=x", "{X}"]),
        (inline(x="1"), ["--x=1", "{X}"]),
        (inline(X=""), ["--x=", "{X}"]),
        (inline(X="-rf", n="-5"), ["--x=-rf", "--n=-5", "{X}"]),
        (inline(N=""), ["--x=x", "{X}"]),
        (inline(X="{N}{{Y}}{here}"), ["--x={N}{{Y}}{here}", "{X}"]),
        ((*inline(Y="a"), *inline(y="b c")), ["--x=x", "{X}", "a", "b c"]),
    ],
)
def test_values_are_put_in_their_places_once(
    parameters: tuple[Parameter, ...], arguments: list[str]
) -> None:
    echo = service(PLACES)
    assert echo.check(parameters) == ()
    task = echo.task(job(*parameters), WORKSPACE)
    assert task.command == (sys.executable, "/site/a.py", *arguments)


def test_what_uwsd_knows_has_places_too() -> None:
    known = service('command = ["a", "{workspace}", "{inputs}", "{outputs}", "{job_id}"]')
    assert known.task(job(), WORKSPACE).command == (
        "a",
        "/jobs/1",
        "/jobs/1/inputs",
        "/jobs/1/outputs",
        "1",
    )


def test_an_argument_with_a_repeatable_parameter_is_repeated() -> None:
    adder = service(
        'command = ["a", "--{N}={Y}"]\nparameters.N = {}\nparameters.Y = { repeatable = true }'
    )
    task = adder.task(job(*inline(N="n", Y="1"), *inline(Y="2")), WORKSPACE)
    assert task.command == ("a", "--n=1", "--n=2")


@pytest.mark.parametrize(
    ("words", "kind", "value"),
    [
        ('"{X}"', "string", "-o/etc/x"),
        ('"{X}"', "string", "--"),
        ('"{X}.fits"', "string", "-x"),
        ('"{E}{X}"', "string", "-x"),
        ('"--out", "{X}"', "string", "-x"),
        ('"{X}", "--"', "string", "-x"),
        ('"{X}"', "interval", "-Inf 5"),
    ],
)
def test_a_value_cannot_become_an_option(words: str, kind: str, value: str) -> None:
    guarded = service(
        f'command = ["a", {words}]\nparameters.X = {{ type = "{kind}" }}\nparameters.E = {{}}'
    )
    with pytest.raises(BadRequest, match="X takes nothing that begins with a dash") as refusal:
        guarded.check(inline(E="", X=value))
    assert "--option={X}" in str(refusal.value)


@pytest.mark.parametrize(
    ("words", "kind", "value"),
    [
        ('"--x={X}"', "string", "-o"),
        ('"--", "{X}"', "string", "-o"),
        ('"{X}"', "string", "a-b"),
        ('"{X}"', "real", "-60.5"),
        ('"{X}"', "integer", "-5"),
        ('"--x={X}"', "interval", "-Inf 5"),
    ],
)
def test_a_dash_is_harmless_elsewhere(words: str, kind: str, value: str) -> None:
    free = service(f'command = ["a", {words}]\nparameters.X = {{ type = "{kind}" }}')
    free.check(inline(X=value))
    assert free.task(job(*inline(X=value)), WORKSPACE).command[-1].endswith(value)


def test_a_value_on_the_command_line_may_be_as_long_as_linux_lets_it(tmp_path: Path) -> None:
    long = service('command = ["true", "{X}"]\nparameters.X = {}')
    values = inline(X="é" * (LONGEST // 2) + "e")
    long.check(values)
    run(long.task(job(*values), tmp_path), tmp_path)
    with pytest.raises(BadRequest, match=r"X: 131072 bytes are more .* has to be given as a file"):
        long.check(inline(X="e" * (LONGEST + 1)))


def test_values_that_are_too_long_together_are_refused() -> None:
    long = service('command = ["a", "{X}"]\nparameters.X = { repeatable = true }')
    with pytest.raises(BadRequest, match="longer than a command line takes"):
        long.check(inline(X="x" * LONGEST) * 9)


@pytest.mark.parametrize(
    ("value", "sentence"), [("a\0b", "no NUL"), ("a\ud800b", "without lone surrogates")]
)
def test_what_no_command_line_holds_is_refused(value: str, sentence: str) -> None:
    with pytest.raises(BadRequest, match=f"X takes .*{sentence}"):
        service('command = ["a", "--x={X}"]\nparameters.X = {}').check(inline(X=value))


# What clients give -----------------------------------------------------------------------------


def test_unknown_parameters_are_told_and_ignored() -> None:
    echo = service(PLACES)
    given = inline(X="1", DUMMY="ignore-me", LANG="ADQL")
    assert echo.check(given) == ("DUMMY", "LANG")
    assert b"DUMMY" not in echo.task(job(*given), WORKSPACE).files["parameters.json"]


def test_a_parameter_of_one_value_is_refused_twice_in_any_case() -> None:
    with pytest.raises(BadRequest, match="X takes one value, not 2"):
        service(PLACES).check((*inline(X="1"), *inline(x="1")))


def test_each_value_is_checked() -> None:
    with pytest.raises(BadRequest, match="N takes an integer, not 'five'"):
        service(PLACES).check(inline(n="five"))


REQUIRED = """
command = ["a"]
parameters.F = { type = "file", required = true }
parameters.N = { type = "integer", required = true }
parameters.T = { required = true }
parameters.O = {}
"""


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (inline(), ("F", "N", "T")),
        (inline(f="", n="", t=""), ("F", "N")),
        (inline(f="x", n="1", T="t"), ()),
    ],
)
def test_what_is_required_is_missed(given: tuple[Parameter, ...], missing: tuple[str, ...]) -> None:
    strict = service(REQUIRED)
    assert strict.check(given) == ()
    assert strict.missing(job(*given)) == missing


def test_a_job_without_what_is_required_does_not_run() -> None:
    with pytest.raises(BadRequest, match="F, T has no value"):
        service(REQUIRED).task(job(*inline(N="1")), WORKSPACE)


# Files -----------------------------------------------------------------------------------------

FILES = """
command = ["a", "{F}"]
parameters.F = { type = "file", repeatable = true }
parameters.T = {}
limits = { max_upload = 1000 }
fetch = { timeout = 7 }
"""


def stored(name: str, path: str) -> Parameter:
    return Parameter(name=name, value="../my table", source=Source.STORED, path=path, size=3)


def remote(name: str, url: str) -> Parameter:
    return Parameter(name=name, value=url, source=Source.REMOTE)


def test_only_file_parameters_take_files() -> None:
    files = service(FILES)
    assert [files.takes_file(name) for name in ("F", "f", "T", "X")] == [True, True, False, False]
    with pytest.raises(BadRequest, match="T takes a text, not a file"):
        files.check((stored("T", "inputs/T-1"),))


def test_a_file_comes_with_the_request_by_its_url_or_as_text() -> None:
    files = service(FILES)
    given = (
        *inline(f="-content é"),
        stored("F", "inputs/F.2"),
        remote("F", "https://x.org/data?a=b"),
        *inline(F="more"),
    )
    files.check(given)
    task = files.task(job(*given), WORKSPACE)
    places = ("F.1", "F.2", "F.3", "F.4")
    assert task.command == ("a", *(f"/jobs/1/inputs/{place}" for place in places))
    assert {**task.files, "parameters.json": b""} == {
        "inputs/F.1": "-content é".encode(),
        "inputs/F.4": b"more",
        "parameters.json": b"",
    }
    assert task.fetch == (
        Fetch(url="https://x.org/data?a=b", path="inputs/F.3", max_bytes=1000, timeout=7.0),
    )
    assert json.loads(task.files["parameters.json"]) == {
        "F": [f"/jobs/1/inputs/{place}" for place in places]
    }


def test_a_single_file_has_the_name_of_its_parameter() -> None:
    single = service('command = ["a", "{F}"]\nparameters.F = { type = "file" }')
    task = single.task(job(*inline(f="x")), WORKSPACE)
    assert task.command == ("a", "/jobs/1/inputs/F")
    assert task.files["inputs/F"] == b"x"
    assert task.environment["UWSD_PARAM_F"] == "/jobs/1/inputs/F"


def test_files_of_two_parameters_never_share_a_place() -> None:
    near = service(
        'command = ["a"]\nparameters.A = { type = "file", repeatable = true }\n'
        'parameters."A.1" = { type = "file", repeatable = true }'
    )
    given = (*inline(A="1"), *inline(A="2"), Parameter(name="A.1", value="3"))
    assert len(near.task(job(*given), WORKSPACE).files) == 4


@pytest.mark.parametrize(
    "url",
    ["file:///a/b", "ftp://x.org/a", "vos://x/y", "https:///a", "http://[::1", "gopher://x"],
)
def test_a_url_that_is_not_fetched_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadRequest, match="F: its URL is not of the form"):
        service(FILES).check((remote("F", url),))


def test_a_site_may_fetch_nothing() -> None:
    closed = service(FILES.replace("timeout = 7", "schemes = []"))
    with pytest.raises(BadRequest, match="F takes no URLs"):
        closed.check((remote("F", "https://x.org/"),))


# The job's environment -------------------------------------------------------------------------

TYPES = """
command = ["a"]
parameters.TEXT = { default = "é" }
parameters.N = { type = "integer", default = 5 }
parameters.R = { type = "real" }
parameters.B = { type = "boolean" }
parameters.BAND = { type = "interval" }
parameters."my-list.1" = { type = "point", repeatable = true }
environment = { OMP_NUM_THREADS = "1", HOME = "/scratch" }
"""


def test_parameters_json_has_typed_values_and_defaults_by_declared_name() -> None:
    given = (
        *inline(text="a", r="1e3", b="T", band="-Inf 5"),
        Parameter(name="MY-LIST.1", value="1 2"),
    )
    content = service(TYPES).task(job(*given), WORKSPACE).files["parameters.json"]
    assert json.loads(content, parse_constant=pytest.fail) == {
        "TEXT": "a",
        "N": 5,
        "R": 1000.0,
        "B": True,
        "BAND": [None, 5.0],
        "my-list.1": [[1.0, 2.0]],
    }


def test_the_environment_is_what_is_listed_and_nothing_of_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UWSD_DATABASE_URL", "secret")
    listing = service(TYPES.replace('["a"]', '["env"]'))
    given = (*inline(R="1", TEXT="x\ny"), Parameter(name="my-list.1", value="1 2"))
    seen = run(listing.task(job(*given), tmp_path), tmp_path).stdout
    assert "secret" not in seen
    environment = listing.task(job(*given), WORKSPACE).environment
    assert environment == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/scratch",
        "LANG": "C.UTF-8",
        "UWSD_JOB_ID": "1",
        "UWSD_RUN_ID": "",
        "UWSD_PARAMETERS": "/jobs/1/parameters.json",
        "UWSD_INPUTS": "/jobs/1/inputs",
        "UWSD_OUTPUTS": "/jobs/1/outputs",
        "UWSD_PROGRESS": "/jobs/1/progress",
        "UWSD_PARAM_TEXT": "x\ny",
        "UWSD_PARAM_N": "5",
        "UWSD_PARAM_R": "1",
        "UWSD_PARAM_MY_LIST_1": "1 2",
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.parametrize("value", ["a\0b", "x" * 10_000])
def test_what_no_variable_holds_is_in_parameters_json_alone(value: str) -> None:
    quiet = service('command = ["a"]\nparameters.X = {}')
    quiet.check(inline(X=value))
    task = quiet.task(job(*inline(X=value)), WORKSPACE)
    assert "UWSD_PARAM_X" not in task.environment
    assert json.loads(task.files["parameters.json"]) == {"X": value}


TELL = """
import json, os, sys
variable = os.environb.get(b"UWSD_PARAM_X")
print(json.dumps({
    "argument": sys.argv[2],
    "variable": None if variable is None else variable.decode(),
    "document": json.load(open(os.environ["UWSD_PARAMETERS"], encoding="utf-8"))["X"],
    "file": open(os.environ["UWSD_PARAM_F"], encoding="utf-8", newline="").read(),
}))
"""


@settings(max_examples=60, deadline=None, print_blob=True)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300))
@example("$(touch canary) `touch canary`; touch canary")
@example("--output=canary")
@example("{{7*7}} {X} {here} ${jndi:ldap://x} %s %(X)s")
@example("'\"\\ \n#SBATCH --uid=0\n\r\n\u202e\ufeff\x1b[2J")
@example("a,LD_PRELOAD=/tmp/x.so")
@example("x" * 8000)
def test_hostile_text_reaches_the_job_as_it_was_sent(text: str) -> None:
    tell = service(
        'command = ["{python}", "-I", "{workspace}/tell.py", "--", "{X}"]\n'
        'parameters.X = {}\nparameters.F = { type = "file" }'
    )
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        (workspace / "tell.py").write_text(TELL)
        given = inline(X=text, F=f"+{text}")
        assert tell.check(given) == ()
        seen = json.loads(run(tell.task(job(*given), workspace), workspace).stdout)
        assert not list(workspace.rglob("canary"))
    assert seen == {"argument": text, "variable": text, "document": text, "file": f"+{text}"}


VALUES = st.one_of(
    st.tuples(st.just("S"), st.text(st.characters(exclude_categories=["Cs"]))),
    st.tuples(st.just("I"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("R"), st.floats(allow_nan=False, allow_infinity=False)),
    st.tuples(st.just("B"), st.booleans()),
)


@settings(print_blob=True)
@given(st.lists(VALUES, unique_by=lambda pair: pair[0]))
def test_values_come_back_from_parameters_json(pairs: list[tuple[str, object]]) -> None:
    typed = service(
        'command = ["a"]\nparameters.S = {}\nparameters.I = { type = "integer" }\n'
        'parameters.R = { type = "real" }\nparameters.B = { type = "boolean" }'
    )
    given = tuple(
        Parameter(name=name.lower(), value=value if isinstance(value, str) else str(value))
        for name, value in pairs
    )
    typed.check(given)
    task = typed.task(job(*given), WORKSPACE)
    assert json.loads(task.files["parameters.json"]) == dict(pairs)


# The task --------------------------------------------------------------------------------------


def test_the_task_has_the_limits_of_the_job() -> None:
    task = service('command = ["a"]\nlimits = { memory = "1 GiB" }').task(
        job(duration=60), WORKSPACE
    )
    assert (task.job_id, task.duration, task.memory) == ("1", 60, 2**30)


def test_a_service_that_is_not_set_up_refuses_with_a_hint(tmp_path: Path) -> None:
    needy = service(
        'command = ["a"]\nrequires = ["{here}/data", "more"]\nhint = "run `make data`"', tmp_path
    )
    with pytest.raises(TaskRefused, match="not complete here: run `make data`"):
        needy.task(job(), WORKSPACE)
    (tmp_path / "data").mkdir()
    assert "not complete here: run `make data`" in (needy.unready() or "")
    bare = service('command = ["a"]\nrequires = ["{here}/data", "more"]', tmp_path)
    assert "more is missing" in (bare.unready() or "")
    (tmp_path / "more").touch()
    assert needy.unready() is None
    needy.task(job(), WORKSPACE)


def test_results_are_those_that_are_declared() -> None:
    maker = service('command = ["a"]\nresults.result = { path = "a.fits" }')
    (result,) = maker.results({"a.fits": 7, "b.fits": 8})
    assert (result.id, result.path, result.media_type, result.size) == (
        "result",
        "outputs/a.fits",
        "application/fits",
        7,
    )


def task_of(values: Mapping[str, str]) -> Task:
    return service(PLACES).task(job(*inline(**values)), WORKSPACE)


def test_the_same_job_is_always_the_same_task() -> None:
    assert task_of({"X": "1"}) == task_of({"X": "1"})
