"""Describe a Jupyter notebook: what it is, and which parameters it takes.

Usage: ``notebook_parameters.py FILE [KERNEL]``. It is run by the interpreter of the notebook's
environment, which needs papermill and ipykernel, and nothing of uwsd. It writes a JSON object with
``title`` and ``description``, from the first cell of text; ``kernel``, the name of the one that
runs it; and ``parameters``, the assignments in the cell with the tag ``parameters``. The type of
each is its annotation's, else its value's; the comment behind it describes it. Names that begin
with an underscore are the notebook's own.

papermill's own ``inspect_notebook`` is not asked: it passes over a parameter with ``=`` in its
comment or ``|`` in its annotation, and cuts a text at ``#``.
"""

import ast
import json
import re
import sys
import tokenize
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

_NEEDED = ("papermill", "ipykernel")
_TAG = "parameters"
_TYPES = {"str": "string", "int": "integer", "float": "real", "bool": "boolean", "Path": "file"}
_LISTS = frozenset({"list", "List", "Sequence", "Iterable", "Collection"})
_TYPE_COMMENT = re.compile(r"type:\s*(\S+)\s*(.*)")


class Mistake(Exception):
    """It cannot be a service; the text says why."""


def main(file: str, kernel: str = "") -> None:
    """Write the description, or end with a sentence that says why there is none."""
    try:
        _require_modules()
        notebook = load(Path(file))
        said = {"kernel": kernel_of(notebook, kernel), **describe(notebook, Path(file).stem)}
    except Mistake as mistake:
        sys.exit(str(mistake))
    json.dump(said, sys.stdout)


def _require_modules() -> None:
    for module in _NEEDED:
        if find_spec(module) is None:
            raise Mistake(f"{module} is not installed for {sys.executable}")


def load(file: Path) -> Any:
    """Read a notebook of any version."""
    import nbformat  # noqa: PLC0415

    try:
        return nbformat.read(file, as_version=4)
    except OSError as error:
        raise Mistake(f"it cannot be read: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - nbformat has many
        raise Mistake(f"it is no notebook: {str(error).partition(chr(10))[0][:200]}") from None


def kernel_of(notebook: Any, asked: str) -> str:
    """Return the name of the kernel, which has to be there, and to speak Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel  # noqa: PLC0415

    name = asked or notebook.metadata.get("kernelspec", {}).get("name") or "python3"
    specs = KernelSpecManager()
    try:
        language = specs.get_kernel_spec(name).language
    except NoSuchKernel:
        known = ", ".join(sorted(specs.find_kernel_specs()))
        raise Mistake(f"{sys.executable} has no kernel {name}; choose one of {known}") from None
    if language.lower() != "python":
        raise Mistake(f"its kernel {name} is for {language}, and not for Python")
    return str(name)


def describe(notebook: Any, name: str) -> dict[str, Any]:
    """Return the title, the description and the parameters of a notebook."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    lines = (texts or [""])[0].strip().split("\n")
    title = lines.pop(0).strip("# ") if lines[0].startswith("#") else ""
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    return {
        "title": title or name,
        "description": "\n\n".join(" ".join(p.split()) for p in paragraphs),
        "parameters": parameters(notebook),
    }


def parameters(notebook: Any) -> dict[str, dict[str, Any]]:
    """Return what the notebook says of its parameters, in its order."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and _TAG in cell.metadata.get("tags", []):
            return dict(_assignments(cell.source))
    raise Mistake(
        f"no cell of code has the tag {_TAG}; in Jupyter, give it to the one that sets them"
    )


def _assignments(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise Mistake(f"the cell {_TAG} is not plain Python: {error}") from None
    comments = _comments(source)
    for statement in statements:
        hint: ast.expr | None = None
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=hint, value=value):
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.Assign():
                raise Mistake(f"each parameter is set by itself, not {ast.unparse(statement)}")
            case _:
                continue
        if not name.startswith("_"):
            yield name, _says(name, hint, value, comments.get(statement.end_lineno, ""))


def _comments(source: str) -> Mapping[int | None, str]:
    """Return the comments by their line."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _says(name: str, hint: ast.expr | None, value: ast.expr | None, comment: str) -> dict[str, Any]:
    default = None
    with suppress(ValueError, TypeError):  # it is computed: the notebook knows it, and nobody else
        default = None if value is None else ast.literal_eval(value)
    if hint is None and (typed := _TYPE_COMMENT.fullmatch(comment)):
        hint, comment = ast.Constant(typed[1]), typed[2]
    says = _of_value(default) if hint is None else _of_hint(hint)
    if "type" not in says:
        shown = ast.unparse(hint or value or ast.Constant(None))
        says["unclear"] = (
            f"{shown[:60]} tells no type that a client can send, as {name}: float does"
        )
    elif isinstance(default, str | int | float):
        says["default"] = str(default).lower() if isinstance(default, bool) else str(default)
    return {**says, "description": comment.strip()}


def _of_value(value: Any) -> dict[str, Any]:
    match value:
        case [first, *_]:
            return {**_of_value(first), "repeatable": True}
        case _:
            return _of_name(type(value).__name__)


def _of_hint(hint: ast.expr) -> dict[str, Any]:
    """Return what an annotation says; of what is not understood, nothing."""
    match hint:
        case ast.Constant(value=str(text)):
            with suppress(SyntaxError):
                return _of_hint(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _of_name(name)
        case ast.BinOp(left=inner, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _of_hint(inner)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _of_generic(name, inner)
    return {}


def _of_generic(name: str, inner: ast.expr) -> dict[str, Any]:
    if name == "Optional":
        return _of_hint(inner)
    if name in _LISTS:
        return {**_of_hint(inner), "repeatable": True}
    choices = [getattr(item, "value", None) for item in getattr(inner, "elts", [inner])]
    if name == "Literal" and all(isinstance(choice, str) for choice in choices):
        return {"type": "enum", "values": choices}
    return {}


def _of_name(name: str) -> dict[str, Any]:
    return {"type": _TYPES[name]} if name in _TYPES else {}


if __name__ == "__main__":
    main(*sys.argv[1:])
