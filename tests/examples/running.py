"""The agnpy example as its services run it, on whatever engine they are configured for."""

import json
import os
import re
import time
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvo
import requests
from astropy.io.votable import parse
from astropy.table import Table

from tests.serving import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "agnpy"
PYTHON = EXAMPLE / ".venv" / "bin" / "python"

needs_environment = pytest.mark.skipif(
    not PYTHON.exists() and os.environ.get("CI") != "true",
    reason="examples/agnpy has no environment: make it with `make example`",
)

VALUES = {"B": "0.5", "distance": "4e17"}


def run_notebook(server: Server, service: str = "sed-notebook", program: str = "sed") -> None:
    """Run the notebook and the program with the same values, and see that they agree."""
    by_notebook = _start(f"{server.url}/{service}/async")
    assert _activities(by_notebook) & {f"cell {n} of 6" for n in range(1, 7)}
    expected = computed(server, program)
    made = _results(by_notebook)
    table = Table.read(made["table"].decode(), format="ascii.ecsv")
    assert len(table) == len(expected)
    for name in expected.dtype.names:
        np.testing.assert_allclose(table[name], np.asarray(expected[name]), rtol=1e-12)
    _check_notebook(json.loads(made["result"]))
    assert b"<html" in made["html"][:200]


def computed(server: Server, program: str) -> Any:
    """Run the program with `VALUES`, and return its table."""
    made = _results(_start(f"{server.url}/{program}/async"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # VOUnits calls erg old-fashioned
        return parse(BytesIO(made["result"])).get_first_table().array


def _check_notebook(notebook: Any) -> None:
    (injected,) = (
        cell
        for cell in notebook["cells"]
        if "injected-parameters" in cell["metadata"].get("tags", [])
    )
    assert "B = 0.5\n" in injected["source"]
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)


def _start(jobs: str) -> str:
    form = {**VALUES, "PHASE": "RUN"}
    answer = requests.post(jobs, data=form, timeout=60)
    answer.raise_for_status()
    return answer.url


def _activities(job: str) -> set[str]:
    """Return the cells that a job has told of, until it is over."""
    seen = set()
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        document = requests.get(job, timeout=60).text
        seen |= set(re.findall(r"activity>(cell \d+ of \d+): ", document))
        if re.search(r"phase>(COMPLETED|ERROR|ABORTED)<", document):
            break
        time.sleep(0.2)
    return seen


def _results(url: str) -> dict[str, bytes]:
    """Wait for a job; return its results by id, as a user of pyvo does."""
    job = pyvo.dal.AsyncTAPJob(url).wait(timeout=100)
    job.raise_if_error()
    return {r.id_: requests.get(r.href, timeout=60).content for r in job.results}
