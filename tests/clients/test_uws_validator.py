"""AIP's uws-validator: 73 scenarios on a job list, its filters and WAIT.

None of it is kept here: CONTRIBUTING.md tells how to get it, and which variables name it then.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import requests

from tests.conftest import Serve
from tests.serving import finished

FOLDER, PYTHON = "UWSD_UWS_VALIDATOR", "UWSD_UWS_VALIDATOR_PYTHON"

JOBS = {
    "veryshort": {"SECONDS": "0"},
    "short": {"SECONDS": "10"},
    "long": {"SECONDS": "60"},
    "error": {"EXIT": "1"},
}


@pytest.mark.both_databases
@pytest.mark.timeout(600)
@pytest.mark.skipif(FOLDER not in os.environ, reason=f"{FOLDER} is not set; see CONTRIBUTING.md")
def test_every_scenario_passes(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path / "data") as server:
        seed(f"{server.url}/demo/async")
        config = tmp_path / "validator.json"
        config.write_text(
            json.dumps({"server": server.url, "base_url": "/demo/async", "job_parameters": JOBS})
        )
        python = str(Path(os.environ[PYTHON]).absolute())
        command = python, "-m", "behave", "-D", f"configfile={config}"
        done = subprocess.run(
            (*command, "--format", "progress"),
            cwd=os.environ[FOLDER],
            capture_output=True,
            text=True,
            check=False,
        )
    assert "\n73 scenarios passed, 0 failed, 0 skipped\n" in done.stdout, done.stdout[-5000:]


def seed(joblist: str) -> None:
    """Make jobs that its filters can find: one in each phase that stays."""

    def create(**form: str) -> str:
        return requests.post(joblist, data=form, timeout=60).url

    assert finished(create(PHASE="RUN")) == "COMPLETED"
    assert finished(create(EXIT="1", PHASE="RUN")) == "ERROR"
    requests.post(f"{create()}/phase", {"PHASE": "ABORT"}, timeout=60)
    create()
