"""A notebook as a service: what it declares, and how its jobs end."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import Serve
from tests.examples.running import PYTHON, needs_environment
from tests.serving import Server, finished, wait_until
from uwsd.capabilities.described import Undescribed
from uwsd.capabilities.notebook import Notebook
from uwsd.capabilities.settings import ServiceSettings

pytestmark = needs_environment

PARAMETERS = """
from typing import Literal, Optional

fwhm: float = 1  # of a star, in arcsec (sigma = 0.42 * fwhm)
steps = 5
band: Literal["g", "r"] = "g"  # the filter
image: "Optional[Path]" = None
tags: list[str] = ["a"]
deep = True  # type: bool whether to go on
title = "a # b"
limit: float | None = None
_pause = 0.1
"""


def write(file: Path, *cells: str, kernel: str = "python3", tag: str = "parameters") -> Path:
    """Write a notebook; the first of its cells has the tag, and what begins with # is text."""
    made: list[Mapping[str, object]] = []
    for cell in cells:
        kind = "markdown" if cell.startswith("# ") else "code"
        code: dict[str, object] = {"outputs": [], "execution_count": None} if kind == "code" else {}
        metadata = {"tags": [tag]} if cell == cells[0] else {}
        made.append(
            {"cell_type": kind, "id": f"c{len(made)}", "metadata": metadata, "source": cell, **code}
        )
    kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
    document = {
        "cells": made,
        "metadata": {"kernelspec": kernelspec},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    file.write_text(json.dumps(document))
    return file


def declared(name: str, text: str = "") -> str:
    # A literal string: a name may have a quote, or a brace.
    return f"capability = 'notebook'\nnotebook = '{name}'\npython = '{PYTHON}'\n{text}\n"


def notebook(here: Path, text: str = "", name: str = "sky.ipynb") -> Notebook:
    settings = ServiceSettings.model_validate(tomllib.loads(declared(name, text)))
    return Notebook("sky", settings, here)


def test_the_cell_with_the_tag_is_the_declaration(tmp_path: Path) -> None:
    write(tmp_path / "sky.ipynb", PARAMETERS, "# The *sky*\n\nSeen\nfrom here.\n\nBy night.")
    sky = notebook(tmp_path)
    assert (sky.title, sky.description) == ("The *sky*", "Seen from here.\n\nBy night.")
    assert [(p.name, str(p.type), p.default, p.description) for p in sky.parameters] == [
        ("fwhm", "real", "1", "of a star, in arcsec (sigma = 0.42 * fwhm)"),
        ("steps", "integer", "5", ""),
        ("band", "enum", "g", "the filter"),
        ("image", "file", None, ""),
        ("tags", "string", None, ""),
        ("deep", "boolean", "true", "whether to go on"),
        ("title", "string", "a # b", ""),
        ("limit", "real", None, ""),
    ]
    assert [p.name for p in sky.parameters if p.repeatable] == ["tags"]
    assert not [p.name for p in sky.parameters if p.required]
    assert sky.main_media_type() == "application/x-ipynb+json"


def test_what_the_configuration_says_of_a_parameter_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "sky.ipynb", "a = 5  # a\nb = 'x'\nc = None\nd = 'd.fits'\ne = 1", "# Sky")
    refined = [
        'a = { type = "real", unit = "deg", range = [0, 9], description = "A" }',
        'b = { values = ["x", "y"], ucd = "meta.code" }',
        'c = { type = "circle", required = true }',
        'd = { type = "file" }',
        "e = { range = [0, 9], required = true }",
    ]
    text = "title = 'Mine'\n" + "\n".join(f"parameters.{line}" for line in refined)
    sky = notebook(tmp_path, text)
    a, b, c, d, e = sky.parameters
    assert (a.type, a.unit, a.maximum, a.default, a.description) == ("real", "deg", 9, "5", "A")
    assert (b.type, b.values, b.default, b.ucd) == ("enum", ("x", "y"), "x", "meta.code")
    assert (c.type, c.required, d.type, d.default) == ("circle", True, "file", None)
    assert (e.type, e.required, e.default) == ("integer", True, None)
    assert sky.title == "Mine"


@pytest.mark.parametrize(
    ("cell", "text", "sentence"),
    [
        (
            "a = 5",
            "notebook = 'no.ipynb'",
            "no.ipynb cannot be a service: it cannot be read: No such",
        ),
        ("a = 5", "python = '{python}'", "papermill is not installed for "),
        (
            "a = 5",
            "python = '/nowhere'\nhint = 'run x'",
            r"cannot be described: .*/nowhere.*; run x",
        ),
        ("a = 5", "kernel = 'julia-1.9'", "has no kernel julia-1.9; choose one of python3"),
        ("a = {}", "", "sky.ipynb cannot be a service: a: {} tells no type that a client can send"),
        (
            "a: int | str = 5",
            "",
            r"a: int \| str tells no type that a client can send, as a: float",
        ),
        ("a = f(5)", "", r"a: f\(5\) tells no type"),
        ("a, b = 5, 6", "", "each parameter is set by itself, not a, b = "),
        ("%time\na = 5", "", "the cell parameters is not plain Python: invalid syntax"),
        ("a: int = 'x'", "", "parameters.a: .*default takes an integer, not 'x'"),
        ("phase = 5", "", "phase has a meaning of its own in UWS"),
        ("a = 5", "parameters.b = {}", "sky.ipynb has no parameter b; it has a"),
        ("a = 5", "parameters.a = { range = [6, 7] }", "default takes an integer from 6 to 7"),
        (
            "a = 'x'",
            "parameters.a = { range = [6, 7] }",
            "range is for integer and real; string has",
        ),
        (
            "a = 5",
            "parameters.a = { values = ['5'] }",
            "values is for texts, and it is of the type int",
        ),
        (
            "a = 5",
            "[examples.b]\ntitle = 'B'\nparameters.a = 'x'",
            "example b of .*takes an integer",
        ),
    ],
)
def test_a_notebook_that_cannot_be_a_service_is_said(
    tmp_path: Path, cell: str, text: str, sentence: str
) -> None:
    write(tmp_path / "sky.ipynb", cell)
    keys = {line.split(" ")[0] for line in text.splitlines()}
    lines = [line for line in declared("sky.ipynb").splitlines() if line.split(" ")[0] not in keys]
    settings = ServiceSettings.model_validate(tomllib.loads("\n".join([*lines, text])))
    with pytest.raises(Undescribed, match=sentence) as error:
        Notebook("sky", settings, tmp_path)
    assert "Traceback" not in str(error.value)


def test_a_file_that_is_no_such_notebook_is_said(tmp_path: Path) -> None:
    write(tmp_path / "sky.ipynb", "a = 5", tag="")
    with pytest.raises(
        Undescribed, match="no cell of code has the tag parameters; in Jupyter, give"
    ):
        notebook(tmp_path)
    (tmp_path / "sky.ipynb").write_text("{}")
    with pytest.raises(Undescribed, match="it is no notebook: "):
        notebook(tmp_path)


# What follows runs jobs: each notebook is a service of one server.

SEEN = """
import helper, json, os
own = {os.stat(f"/proc/self/fd/{n}").st_ino for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")}
tcp = [line.split() for file in ("tcp", "tcp6") for line in open(f"/proc/self/net/{file}")]
local = [line.split() for line in open("/proc/self/net/unix")]
seen = {
    "text": text,
    "n": n,
    "size": size,
    "image": open(image).read(),
    "helper": helper.__file__,
    "cwd": os.getcwd(),
    "home": os.environ["HOME"],
    "ports": [at[1].split(":")[0] for at in tcp if at[3] == "0A" and int(at[9]) in own],
    "sockets": sorted(at[7] for at in local[1:] if at[3] == "00010000" and int(at[6]) in own),
}
json.dump(seen, open("seen.json", "w"))
"""
NOTEBOOKS: Mapping[str, tuple[Sequence[str], str]] = {
    "seen": (
        ["text = 'x'\nn = 1\nsize = 1.5\nimage: 'Path' = None", SEEN],
        "results.seen = { path = 'seen.json' }",
    ),
    "raising": (
        [
            "a = 1",
            "# Text",
            "print('so far')",
            r"raise ValueError('\x1b[31mred\x1b[0m <b>\nand more')",
            "1",
        ],
        "",
    ),
    "killed": (["a = 1", "print('so far')", "import os; os.kill(os.getpid(), 9)", "1"], ""),
    "orphaned": (["a = 1", "import os, time; os.kill(os.getppid(), 9); time.sleep(60)", "1"], ""),
    "endless": (
        ["a = 1", "print('so far', flush=True)\nimport time; time.sleep(1000)", "1"],
        "",
    ),
    # The program that runs the notebook does not look at this variable, and the kernel does.
    "unborn": (["a = 1"], "environment = { PYTHONHOME = '/nowhere' }"),
}


@pytest.fixture(scope="module")
def site(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    here = tmp_path_factory.mktemp("notebooks")
    (here / "helper.py").write_text("")
    config = []
    for name, (cells, text) in NOTEBOOKS.items():
        write(here / f"{name} {{x}}.ipynb", *cells)
        # A brace in a declared path is doubled, as in a command.
        config.append(f"[services.{name}]\n{declared(f'{name} {{{{x}}}}.ipynb', text)}")
    (here / "uwsd.toml").write_text("\n".join(config))
    with serve(here / "data", here / "uwsd.toml") as server:
        yield server
    assert not (here / "__pycache__").exists()


@pytest.fixture(scope="module")
def jobs(site: Server) -> Mapping[str, str]:
    """One job of each service, all at a time."""
    return {
        name: requests.post(f"{site.url}/{name}/async", data={"PHASE": "RUN"}, timeout=60).url
        for name in NOTEBOOKS
        if name != "seen"
    }


def result(job: str, name: str = "result") -> Any:
    answer = requests.get(f"{job}/results/{name}", timeout=60)
    answer.raise_for_status()
    return answer.json()


def error(job: str) -> str:
    return requests.get(f"{job}/error", headers={"Accept": "text/plain"}, timeout=60).text


def outputs(job: str) -> str:
    """Return all outputs of the executed notebook, as JSON."""
    return json.dumps([cell.get("outputs") for cell in result(job)["cells"]])


@pytest.mark.parametrize("text", ["plain", "\"'\\ {x} %s\n!ls; %run x ?\n'''\"\"\" é😀\0\x1b"])
def test_a_notebook_gets_what_was_sent_and_keeps_to_its_folder(site: Server, text: str) -> None:
    form = {"TEXT": text, "N": "-3", "PHASE": "RUN"}
    files = {"IMAGE": b"stars"}
    job = requests.post(f"{site.url}/seen/async", data=form, files=files, timeout=60).url
    assert finished(job) == "COMPLETED", error(job)
    seen = result(job, "seen")
    workspace = site.data / "jobs" / job.rpartition("/")[2]
    assert (seen["text"], seen["n"], seen["size"], seen["image"]) == (text, -3, 1.5, "stars")
    assert (seen["cwd"], seen["home"]) == (str(workspace / "outputs"), str(workspace))
    assert seen["helper"].startswith(str(site.data.parent))
    assert seen["sockets"] == [f"../.jupyter/kernel-{n}" for n in range(1, 6)]
    # ipykernel's own, for what its forked children print; they show a secret there.
    assert set(seen["ports"]) <= {"0100007F"}
    assert len(seen["ports"]) <= 1
    assert result(job)["metadata"]["papermill"]["input_path"] == "../seen {x}.ipynb"
    found = requests.get(f"{job}/results", timeout=60).text
    assert 'id="result" mime-type="application/x-ipynb+json"' in found
    assert 'id="html" mime-type="text/html"' in found


def test_a_cell_that_raises_is_an_error_that_says_which_and_why(jobs: Mapping[str, str]) -> None:
    job = jobs["raising"]
    assert finished(job) == "ERROR"
    said, _, detail = error(job).partition("\n")
    assert said == "The notebook stopped in cell 4 of 5: ValueError: red <b>"
    assert "----> 1 raise ValueError(" in detail
    assert "so far" in outputs(job)
    assert "An Exception was encountered" in json.dumps(result(job))
    assert requests.get(f"{job}/results/stdout", timeout=60).text == "so far\n"


def test_a_kernel_that_is_killed_is_an_error_whatever_the_notebook_says(
    jobs: Mapping[str, str],
) -> None:
    job = jobs["killed"]
    assert finished(job) == "ERROR"
    assert error(job).startswith(
        "The notebook stopped in cell 4 of 5: DeadKernelError: Kernel died"
    )
    states = [cell["metadata"].get("papermill", {}).get("status") for cell in result(job)["cells"]]
    assert [state for state in states if state] == ["completed"] * 3 + ["failed", "pending"]
    assert result(job)["metadata"]["papermill"]["exception"] is True


def test_a_notebook_whose_papermill_is_killed_is_an_error(jobs: Mapping[str, str]) -> None:
    job = jobs["orphaned"]
    assert finished(job) == "ERROR"
    assert error(job).startswith("killed by SIGKILL")
    assert "time.sleep(60)" in json.dumps(result(job))


def test_a_cell_that_never_ends_is_stopped_and_what_it_said_is_kept(
    jobs: Mapping[str, str],
) -> None:
    job = jobs["endless"]
    wait_until(lambda: "so far" in requests.get(f"{job}/results/stdout", timeout=60).text, 60)
    form = {"EXECUTIONDURATION": "1"}  # it has run for longer already
    assert requests.post(f"{job}/executionduration", data=form, timeout=60).ok
    assert finished(job) == "ABORTED"
    # Its worker ends it, or the supervisor does if it is quicker; then the files come a little later.
    assert re.search("as long as it may|it ran for longer than 1 s", error(job))
    wait_until(lambda: requests.get(f"{job}/results/result", timeout=60).ok)
    assert "so far" in outputs(job)
    assert "the job was ended here" in outputs(job)


def test_a_kernel_that_does_not_start_is_an_error(jobs: Mapping[str, str]) -> None:
    job = jobs["unborn"]
    assert finished(job) == "ERROR"
    assert error(job).startswith("The notebook stopped before its first cell: RuntimeError: Kernel")
