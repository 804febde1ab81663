"""A form becomes parameters, and a form that is refused leaves no file behind."""

import io
from pathlib import Path

import pytest

from uwsd.capabilities.command import Command
from uwsd.capabilities.settings import ServiceSettings
from uwsd.uws.errors import BadRequest
from uwsd.uws.form import Form, Upload
from uwsd.uws.job import Parameter, Source
from uwsd.uws.parameters import Inputs, about, merged
from uwsd.uws.workspace import Workspaces

JOB = "7b6f4a52-3c1e-4a52-9c1e-0123456789ab"
SERVICE = Command(
    "s",
    ServiceSettings.model_validate(
        {
            "command": ["true", "{F}", "{N}"],
            "parameters": {"F": {"type": "file"}, "N": {"type": "real"}},
        }
    ),
    Path(),
)


def a_form(*fields: tuple[str, str], file: bytes | None = b"abc") -> Form:
    upload = Upload(
        name="f", filename="../../etc/x", media_type="a/b", content=io.BytesIO(file or b"")
    )
    return Form(fields=fields, uploads=() if file is None else (upload,))


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "jobs")


def test_a_file_is_kept_under_a_name_of_ours(workspaces: Workspaces) -> None:
    with Inputs(SERVICE, workspaces, JOB, a_form(("N", "1"))) as inputs:
        number, file = inputs.parameters
    assert (number.name, number.source) == ("N", Source.INLINE)
    assert (file.source, file.value, file.size) == (Source.STORED, "../../etc/x", 3)
    assert file.path is not None
    with workspaces.open(JOB, file.path) as kept:
        assert kept.read() == b"abc"


def test_what_fails_later_takes_the_file_with_it(workspaces: Workspaces) -> None:
    with pytest.raises(RuntimeError), Inputs(SERVICE, workspaces, JOB, a_form()):
        raise RuntimeError
    assert not workspaces.path(JOB).exists()


@pytest.mark.parametrize(
    "form",
    [
        a_form(("N", "x")),
        a_form(("F", "param:none")),
        a_form(("UPLOAD", "N,param:f")),
        a_form(("UPLOAD", "F,param:f"), ("UPLOAD", "F,param:f")),
        Form(uploads=(Upload(name="N", filename="", media_type="", content=io.BytesIO()),)),
    ],
)
def test_what_is_refused_leaves_no_file(workspaces: Workspaces, form: Form) -> None:
    with pytest.raises(BadRequest), Inputs(SERVICE, workspaces, JOB, form):
        pass
    assert not workspaces.path(JOB).exists()


def test_the_content_of_an_upload_has_both_names(workspaces: Workspaces) -> None:
    with Inputs(SERVICE, workspaces, JOB, a_form(("UPLOAD", "F,param:f"))) as inputs:
        assert [p.name for p in inputs.parameters] == ["UPLOAD", "F"]
    upload = Upload(name="part", filename="", media_type="a/b", content=io.BytesIO(b"abc"))
    form = Form(fields=(("UPLOAD", "F,param:part"),), uploads=(upload,))
    with Inputs(SERVICE, workspaces, JOB, form) as inputs:
        assert [p.name for p in inputs.parameters] == ["UPLOAD", "F", "part"]
        assert inputs.info == {}


def test_names_compare_in_any_case_when_values_are_replaced() -> None:
    old = Parameter(name="A", value="1"), Parameter(name="B", value="2")
    new = (Parameter(name="a", value="3"),)
    assert [(p.name, p.value) for p in merged(old, new)] == [("B", "2"), ("a", "3")]


def test_unknown_names_are_told_once() -> None:
    assert about((), ["LANG", "QUERY", "LANG"]) == {"ignored": "LANG, QUERY"}
    assert about((), []) == {}
