"""GAVO's library, the strictest client in Python: of each POST it wants 303, of each GET 200."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.needs import lack

pytestmark = pytest.mark.both_databases

# Debian's package is for Debian's python, which is not the one that runs the tests.
PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("gavo_job.py")

TABLE = """<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3" version="1.4"><RESOURCE>
<TABLE><FIELD name="a" datatype="int"/><DATA><TABLEDATA><TR><TD>1</TD></TR></TABLEDATA></DATA></TABLE>
</RESOURCE></VOTABLE>"""


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    look = (PYTHON, "-c", "import gavo.votable.tapquery")
    if (
        not Path(PYTHON).exists()
        or subprocess.run(look, capture_output=True, check=False).returncode
    ):
        lack("GAVO's library is not installed; apt-get install python3-gavo-votable")


def test_the_lives_of_jobs(tap: str, tmp_path: Path) -> None:
    done = subprocess.run(
        (PYTHON, "-I", str(SCRIPT), tap),
        input=TABLE,
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["life"] == {
        "phase": "PENDING",
        "quote": None,
        "owner": "",
        "durations": [33, 33],
        "destruction is kept": True,
        "parameters": {"request": "doQuery", "lang": "ADQL", "query": "SELECT 1", "rows": "2"},
        "results": ["result", "stdout", "stderr"],
        "phases afterwards": ["COMPLETED", "COMPLETED"],
        "rows": [[0, "SELECT 1"], [1, "SELECT 1"]],
        "listed rows": [[0, "SELECT 1"], [1, "SELECT 1"]],
        "afterwards": 404,
    }
    assert seen["upload"] == 1
    assert "exit status 1" in seen["failure"]
    assert seen["abort"] == ["ABORTED and told so", 404]
