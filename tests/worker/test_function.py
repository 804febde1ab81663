"""The program that describes a function and calls it, run as a job runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).parents[2] / "uwsd" / "worker" / "function.py"


class Bench:
    """A folder with a module ``site_code`` in it, and a workspace for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outputs = folder / "outputs"
        self.outputs.mkdir()
        # Not the function's to give away. A decoy: a worker that fails would move what it is given.
        self.decoy = folder / "decoy"
        self.decoy.write_text("decoy")

    def write(self, code: str) -> None:
        (self.folder / "site_code.py").write_text(code)

    def work(self, verb: str, given: object = None) -> subprocess.CompletedProcess[bytes]:
        parameters = self.folder / "parameters.json"
        parameters.write_text(json.dumps(given or {}))
        return subprocess.run(
            [sys.executable, "-I", WORKER, verb, "site_code:f", self.folder],
            cwd=self.outputs,
            env={"UWSD_PARAMETERS": str(parameters), "LANG": "C.UTF-8"},
            capture_output=True,
            check=False,
        )

    def describe(self) -> Any:
        done = self.work("describe")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def call(self, **given: object) -> dict[str, bytes]:
        """Return what the function returned, by path below ``returned/``."""
        done = self.work("call", given)
        assert done.returncode == 0, done.stderr.decode()
        returned = self.outputs / "returned"
        files = sorted(p for p in returned.rglob("*") if p.is_file())
        return {str(p.relative_to(returned)): p.read_bytes() for p in files}

    def complaint(self, verb: str, **given: object) -> str:
        done = self.work(verb, given)
        assert done.returncode == 1
        return done.stderr.decode().splitlines()[-1]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


HEAD = """
from collections.abc import Sequence
from datetime import datetime, timezone
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Literal, Optional

class Band(Enum):
    G = "g"
    R = "r"

class Level(IntEnum):
    LOW = 1
    HIGH = 2
"""


def test_a_function_is_described_by_its_docstring_and_signature(bench: Bench) -> None:
    bench.write(
        HEAD
        + """
def f(ra: Annotated[float, {"unit": "deg", "ucd": "pos.eq.ra", "range": (0, 360)}], *, n: int = 5):
    \"\"\"Cut out a part of the sky.

    The whole of it, if asked.
    \"\"\"
"""
    )
    assert bench.describe() == {
        "title": "Cut out a part of the sky",
        "description": "The whole of it, if asked.",
        "parameters": {
            "ra": {
                "type": "real",
                "unit": "deg",
                "ucd": "pos.eq.ra",
                "range": [0, 360],
                "required": True,
            },
            "n": {"type": "integer", "default": "5", "required": False},
        },
    }


@pytest.mark.parametrize(
    ("argument", "says", "given", "seen"),
    [
        ("x: str", {"type": "string", "required": True}, "é\0", "'é\\x00'"),
        ("x: int", {"type": "integer", "required": True}, 5, "5"),
        ("x: float", {"type": "real", "required": True}, 5.5, "5.5"),
        (
            "x: bool = True",
            {"type": "boolean", "required": False, "default": "true"},
            False,
            "False",
        ),
        ("x: Path", {"type": "file", "required": True}, "/a", "PosixPath('/a')"),
        ("x: Path = Path('b')", {"type": "file", "required": False}, "/a", "PosixPath('/a')"),
        (
            "x: datetime = datetime(2020, 1, 2)",
            {"type": "timestamp", "required": False, "default": "2020-01-02T00:00:00Z"},
            "2000-01-02T03:04:05.5Z",
            "datetime.datetime(2000, 1, 2, 3, 4, 5, 500000, tzinfo=datetime.timezone.utc)",
        ),
        (
            "x: Band = Band.G",
            {"type": "enum", "values": ["g", "r"], "required": False, "default": "g"},
            "r",
            "<Band.R: 'r'>",
        ),
        (
            "x: Level = Level.LOW",
            {"type": "enum", "values": ["1", "2"], "required": False, "default": "1"},
            "2",
            "<Level.HIGH: 2>",
        ),
        (
            "x: Literal['a', 3, True]",
            {"type": "enum", "values": ["a", "3", "true"], "required": True},
            "3",
            "3",
        ),
        ("x: Optional[int]", {"type": "integer", "optional": None, "required": False}, 5, "5"),
        ("x: str | None = None", {"type": "string", "required": False}, "a", "'a'"),
        (
            "x: list[int]",
            {"type": "integer", "repeatable": True, "required": True},
            [1, 2],
            "[1, 2]",
        ),
        (
            "x: Annotated[Sequence[Band], 'which'] = ()",
            {"type": "enum", "values": ["g", "r"], "repeatable": True, "required": False}
            | {"description": "which"},
            ["g"],
            "[<Band.G: 'g'>]",
        ),
        (
            "x: Annotated[tuple[float, float], {'type': 'interval'}]",
            {"type": "interval", "required": True},
            [None, 5.0],
            "(-inf, 5.0)",
        ),
        (
            "x: Annotated[tuple[float, float], {'type': 'point'}]",
            {"type": "point", "required": True},
            [1.0, 2.0],
            "(1.0, 2.0)",
        ),
    ],
)
def test_each_type_of_argument_is_described_and_given(
    bench: Bench, argument: str, says: dict[str, object], given: object, seen: str
) -> None:
    bench.write(f"{HEAD}\ndef f({argument}):\n    return repr(x)\n")
    expected = {key: value for key, value in says.items() if value is not None}
    assert bench.describe()["parameters"] == {"x": expected}
    assert bench.call(x=given) == {"result/result.txt": seen.encode()}


def test_what_was_not_given_is_the_default_or_none(bench: Bench) -> None:
    bench.write("def f(a: int | None, b: list[int] = [7]):\n    return repr((a, b))\n")
    assert bench.call() == {"result/result.txt": b"(None, [7])"}


@pytest.mark.parametrize(
    ("signature", "sentence"),
    [
        ("x", "the argument x has no type"),
        ("x: dict", "the argument x has a type that no client can send: <class 'dict'>"),
        ("x: int | str", "the argument x has a type that no client can send: int | str"),
        ("x: tuple[float, float]", "the argument x has a type that no client can send"),
        ("*x: int", "the argument x cannot be given by its name"),
        ("x: int, /", "the argument x cannot be given by its name"),
        ("x: Annotated[int, {'units': 'deg'}]", "the argument x says ['units']; known: ["),
        ("x: Annotated[int, {'type': 'point'}]", "the argument x has a type that no client"),
    ],
)
def test_what_no_client_can_send_is_said(bench: Bench, signature: str, sentence: str) -> None:
    bench.write(f"{HEAD}\ndef f({signature}):\n    pass\n")
    assert sentence in bench.complaint("describe")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def g(): pass", "AttributeError: module 'site_code' has no attribute 'f'"),
        ("f = 5", "TypeError: site_code:f is not a function"),
        ("def f(:", "SyntaxError: invalid syntax"),
    ],
)
def test_a_function_that_cannot_be_had_is_said(bench: Bench, code: str, sentence: str) -> None:
    bench.write(code)
    assert bench.complaint("describe") == sentence


def test_what_a_module_prints_is_not_its_description(bench: Bench) -> None:
    bench.write("import os\nprint('hello')\nos.system('echo hello')\ndef f(): pass\n")
    assert bench.describe() == {"title": "f", "description": "", "parameters": {}}


def test_the_module_is_found_after_what_is_installed(bench: Bench) -> None:
    (bench.folder / "colorsys.py").write_text("raise SystemExit('not this one')")
    bench.write("import colorsys\ndef f(): return str(colorsys.rgb_to_yiq(0, 0, 0)[0])\n")
    assert bench.call() == {"result/result.txt": b"0.0"}


@pytest.mark.parametrize(
    ("body", "files"),
    [
        ("return None", {}),
        ("return 'é\\r\\n'", {"result/result.txt": "é\r\n".encode()}),
        ("return b'\\0'", {"result/result.bin": b"\0"}),
        ("return [1, 'é', None]", {"result/result.json": '[1, "é", null]'.encode()}),
        (
            "return {'a': {'b': (1.5, float('nan'))}}",
            {"result/result.json": b'{"a": {"b": [1.5, null]}}'},
        ),
        ("return {}", {"result/result.json": b"{}"}),
        (
            "import numpy\n    return {'a': numpy.arange(3), 'b': numpy.float64(2)}",
            {"result/result.json": b'{"a": [0, 1, 2], "b": 2.0}'},
        ),
        ("p = Path('a.fits'); p.write_text('x'); return p", {"result/a.fits": b"x"}),
        (
            "Path('d').mkdir(); p = Path('d/a.fits').resolve(); p.write_text('x'); return p",
            {"result/a.fits": b"x"},
        ),
        (
            "return {'image': b'i', 'note': 'n', 'numbers': [1]}",
            {"result/result.bin": b"i", "note/note.txt": b"n", "numbers/numbers.json": b"[1]"},
        ),
        (
            "return {'image': b'i', 'result': 'n'}",
            {"image/image.bin": b"i", "result/result.txt": b"n"},
        ),
    ],
)
def test_what_is_returned_becomes_files(bench: Bench, body: str, files: dict[str, bytes]) -> None:
    bench.write(f"{HEAD}\ndef f():\n    {body}\n")
    assert bench.call() == files


def test_a_table_becomes_a_votable(bench: Bench, tmp_path: Path) -> None:
    bench.write("from astropy.table import QTable\ndef f():\n    return QTable({'a': [1, 2]})\n")
    (path,) = bench.call()
    assert path == "result/result.vot"
    from astropy.table import Table

    table = Table.read(tmp_path / "outputs" / "returned" / path, format="votable")
    assert list(table["a"]) == [1, 2]


def test_astropy_is_not_imported_without_need(bench: Bench) -> None:
    bench.write("import sys\ndef f():\n    return sorted({m.split('.')[0] for m in sys.modules})\n")
    modules = json.loads(bench.call()["result/result.json"])
    assert {"astropy", "numpy", "uwsd"} & set(modules) == set()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise RuntimeError('no sky\\ntoday')", "today"),
        ("raise RuntimeError('no sky')", "RuntimeError: no sky"),
        ("return Path('nothing.fits')", "FileNotFoundError: "),
        ("return Path('../decoy')", "ValueError: ../decoy is not a file in the working folder"),
        ("return Path('../decoy').resolve()", "ValueError: /"),
        ("Path('a').symlink_to('../decoy'); return Path('a')", "ValueError: a is not a file"),
        ("Path('a').mkdir(); return Path('a')", "ValueError: a is not a file"),
        ("return {'result': b'', 'a/../b': b''}", "ValueError: a result cannot be called"),
        ("return {'result': b'', 'stdout': b''}", "ValueError: a result cannot be called"),
        ("return object()", "TypeError: object cannot be a result"),
    ],
)
def test_a_call_that_fails_says_why_in_its_last_line(
    bench: Bench, body: str, sentence: str
) -> None:
    bench.write(f"{HEAD}\ndef f():\n    {body}\n")
    assert bench.complaint("call").startswith(sentence)
    assert bench.decoy.read_text() == "decoy"
