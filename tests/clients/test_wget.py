"""wget: POST and follow, fetch under the server's name, go on with a file that was cut."""

import subprocess
from pathlib import Path

import pytest
from lxml import etree

from tests.needs import need
from tests.serving import finished

pytestmark = pytest.mark.both_databases


def wget(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = need("wget", "apt-get install wget"), "--no-config", "--no-verbose", "--tries=1"
    done = subprocess.run(
        (*command, *arguments), capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done


def test_create_follow_and_fetch(demo: str, tmp_path: Path) -> None:
    document = wget("-O-", "--post-data", "TEXT=0123456789&PHASE=RUN", demo).stdout
    job = f"{demo}/{etree.fromstring(document.encode()).findtext('{*}jobId')}"
    assert finished(job) == "COMPLETED"
    wget("--content-disposition", "-P", str(tmp_path), f"{job}/results/result")
    (fetched,) = tmp_path.iterdir()
    assert fetched.read_text() == "0123456789"
    fetched.write_text("half")
    rest = wget("--continue", "--server-response", "-O", str(fetched), f"{job}/results/result")
    assert (fetched.read_text(), "HTTP/1.1 206" in rest.stderr) == ("half456789", True)
    assert wget("-O-", "--method=DELETE", job).stdout.startswith("<?xml")
