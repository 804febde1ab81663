"""Run a Jupyter notebook as a job: the whole of a service that is one notebook.

Usage: ``notebook.py FILE KERNEL [FOLDER ...]``, in the folder ``outputs/`` of a job, by the
interpreter of the notebook's environment. It needs papermill and ipykernel there, and nothing of
uwsd. Modules are looked for in the folders, as if the notebook were in each of them.

The values in the file that ``UWSD_PARAMETERS`` names are given to papermill. The executed notebook
has its own name, is saved after each cell, and is never half a file; beside it is ``.html``, where
nbconvert is installed. The exit status is 0 only if every cell was run, whatever the notebook says.
Else the last line of stderr begins with `STOPPED`, and says where and why.

What Jupyter needs is in ``.jupyter/`` in the workspace. The kernel is spoken to through sockets
there, which no other user can reach. (ipykernel opens one port of the loopback by itself, for what
its forked children print; it takes nothing there but what shows a secret.)
"""

import json
import logging
import os
import re
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

STOPPED = "The notebook stopped"

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\^_])")
_PRIVATE = Path("..", ".jupyter")  # a relative path is short enough for the name of a socket
_SAVE_EVERY = 5  # seconds, while a cell prints
_PATIENCE = 120  # seconds for a kernel to start, or to say the rest when a cell has ended


def main(file: str, kernel: str, *folders: str) -> None:
    """Run the notebook."""
    _keep_to_workspace(folders)
    values = json.loads(Path(os.environ["UWSD_PARAMETERS"]).read_bytes())
    Run(Path(os.path.relpath(file)), kernel, values).carry_out()


class Run:
    """One execution of a notebook."""

    def __init__(self, file: Path, kernel: str, values: Mapping[str, Any]) -> None:
        self._file = file
        self._kernel = kernel
        self._values = dict(values)
        self._notebook: Any = None
        self._cells: list[int] = []  # where in the notebook those are that are executed
        self._at = -1  # which of them is

    def carry_out(self) -> None:
        """Run all cells, and make a page of the notebook. Exits with a sentence if a cell fails."""
        signal.signal(signal.SIGTERM, self._end)
        # It warns of each parameter that its own inspection passes over.
        logging.getLogger("papermill").setLevel(logging.ERROR)
        try:
            self._execute()
        except Exception as error:  # noqa: BLE001 - whatever it is, not every cell was run
            self._fail(error)
        _tell(1)
        self._render()

    def _execute(self) -> None:
        import papermill  # noqa: PLC0415
        from traitlets.config import Config  # noqa: PLC0415

        papermill.iorw.papermill_io.register(self._file.name, Whole())
        kernel = {
            "transport": "ipc",
            "ip": str(_PRIVATE / "kernel"),
            "connection_file": str(_PRIVATE.resolve() / "kernel.json"),
        }
        papermill.execute_notebook(
            _literal(str(self._file)),
            _literal(self._file.name),
            self._values,
            kernel_name=self._kernel,
            language="python",
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
            autosave_cell_every=_SAVE_EVERY,
            start_timeout=_PATIENCE,
            iopub_timeout=_PATIENCE,
            config=Config(KernelManager=kernel),
            on_notebook_start=self._begin,
            on_cell_execute=self._advance,
        )

    def _begin(self, notebook: Any) -> None:
        """Count the cells, now that the values of the parameters are in one of them."""
        self._notebook = notebook
        self._cells = [at for at, cell in enumerate(notebook.cells) if _is_executed(cell)]

    def _advance(self, cell: Any, cell_index: int) -> None:
        self._at = self._cells.index(cell_index)
        words = next(line for line in cell.source.split("\n") if line.strip())
        _tell(self._at / len(self._cells), f"{self._place}: {words.strip(' #')}")

    @property
    def _place(self) -> str:
        # As Jupyter counts them: [1] is the first that is executed.
        return f"cell {self._at + 1} of {len(self._cells)}"

    def _fail(self, error: Any) -> NoReturn:
        # papermill's own error knows its cell, and has been written into the notebook.
        name, message = getattr(error, "ename", type(error).__name__), str(error)
        if hasattr(error, "cell_index"):
            self._at, message = self._cells.index(error.cell_index), error.evalue
            print(_plain("\n".join(error.traceback)), file=sys.stderr)
        else:
            self._mark(name, message)
        self._render()
        where = f"in {self._place}" if self._at >= 0 else "before its first cell"
        sys.exit(f"{STOPPED} {where}: {name}: {_plain(message).strip().partition(chr(10))[0]}")

    def _end(self, number: int, _: FrameType | None) -> NoReturn:
        """Save what there is, at once: there are a few seconds left, or none."""
        self._mark("Stopped", "the job was ended here")
        os._exit(128 + number)

    def _mark(self, name: str, message: str) -> None:
        """Write into the notebook where it stopped: papermill takes all cells for completed."""
        import nbformat  # noqa: PLC0415
        from papermill.exceptions import PapermillExecutionError  # noqa: PLC0415
        from papermill.execute import raise_for_execution_errors  # noqa: PLC0415

        if self._at < 0:
            return
        cell, *later = self._notebook.cells[self._cells[self._at] :]
        told = {"ename": name, "evalue": message, "traceback": [f"{name}: {message}"]}
        cell.outputs.append(nbformat.v4.new_output("error", **told))
        cell.metadata.papermill.update(status="failed", exception=True)
        for pending in later:
            pending.metadata.papermill["status"] = "pending"
        self._notebook.metadata.papermill["exception"] = True
        with suppress(PapermillExecutionError):
            raise_for_execution_errors(self._notebook, self._file.name)

    def _render(self) -> None:
        """Make a page of the notebook, where nbconvert is installed."""
        if find_spec("nbconvert") is None or not Path(self._file.name).exists():
            return
        from nbconvert import HTMLExporter  # noqa: PLC0415

        try:
            page, _ = HTMLExporter().from_filename(self._file.name)
        except Exception as error:  # noqa: BLE001 - a page is not worth a failure
            print(f"there is no page of the notebook: {error}", file=sys.stderr)
        else:
            Whole().write(page, f"{self._file.stem}.html")


class Whole:
    """How papermill writes the notebook: whoever reads it never finds half of it."""

    def write(self, text: str, path: str) -> None:
        """Put a new file in the place of the old one."""
        draft = _PRIVATE / "draft"
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)

    def pretty_path(self, path: str) -> str:
        """Return what papermill's log is to call it."""
        return path


def _keep_to_workspace(folders: tuple[str, ...]) -> None:
    """See to it that Jupyter and the kernel leave nothing elsewhere."""
    _PRIVATE.mkdir(mode=0o700, exist_ok=True)
    private = _PRIVATE.resolve()
    found = (*folders, *filter(None, [os.environ.get("PYTHONPATH")]))
    os.environ.update(
        JUPYTER_CONFIG_DIR=str(private / "config"),
        JUPYTER_DATA_DIR=str(private / "data"),
        JUPYTER_RUNTIME_DIR=str(private / "runtime"),
        IPYTHONDIR=str(private / "ipython"),
        PYTHONPATH=os.pathsep.join(found),
        PYTHONDONTWRITEBYTECODE="1",  # it would be beside the modules of the site
    )


def _is_executed(cell: Any) -> bool:
    is_skipped = "skip-execution" in cell.metadata.get("tags", [])
    return cell.cell_type == "code" and bool(cell.source.strip()) and not is_skipped


def _tell(fraction: float, words: str = "") -> None:
    Path(os.environ["UWSD_PROGRESS"]).write_text(f"{fraction:.4f} {words}\n", encoding="utf-8")


def _literal(path: str) -> str:
    """Return a path for papermill, which takes it for a format string."""
    return path.replace("{", "{{").replace("}", "}}")


def _plain(text: str) -> str:
    """Return text without escape sequences, and without what else is no text."""
    text = _ESCAPES.sub("", text)
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


if __name__ == "__main__":
    main(*sys.argv[1:])
