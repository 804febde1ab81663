"""A site finds another by its registry, and has a job run there."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.registry.conftest import SITE, Site, running
from tests.registry.test_oai import LIST, NS, read

OTHER = """\
[services.count]
title = "Counting"
command = ["/bin/sh", "-c", "wc -c < \\"$0\\" > count.txt", "{FILE}"]
parameters.FILE = { type = "file", required = true }
results.result = { path = "count.txt", media_type = "text/plain" }
"""


def uwsd(here: Site, *words: str) -> str:
    """Run a command at a site, as somebody who works there does."""
    home = here.folder.parent
    command = (sys.executable, "-m", "uwsd", *words)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "UWSD_URL": here.url}
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def identifiers(site: Site) -> set[str]:
    root = read(site.ask(f"verb=ListIdentifiers&{LIST}"))
    return {str(e.text) for e in root.iterfind(".//o:header/o:identifier", NS)}


def test_each_finds_the_other_and_runs_a_job_there(site: Site, tmp_path: Path) -> None:
    (tmp_path / "uwsd.toml").write_text(OTHER)
    about = SITE.replace("org.example.uwsd", "net.elsewhere").partition("[services.")[0]
    with running(Site(tmp_path, tmp_path / "uwsd.toml", about=about)) as other:
        found = json.loads(uwsd(site, "platforms", "--harvest", f"{other.url}/oai", "--json"))
        (count,) = (p for p in found if p["identifier"] == "ivo://net.elsewhere/count")
        assert count["status"]["is_available"] is True
        assert count["status"]["standards"] == [
            "ivo://ivoa.net/std/VOSI#capabilities",
            "ivo://ivoa.net/std/VOSI#availability",
            "ivo://ivoa.net/std/UWS#rest-1.1",
        ]
        (joblist,) = count["joblists"]
        assert joblist == f"{other.url}/count/async"
        (site.folder.parent / "in.txt").write_text("twelve bytes")
        uwsd(site, "submit", joblist, "--file", "FILE=in.txt", "--download", "got")
        assert (site.folder.parent / "got" / "result.txt").read_text().strip() == "12"
        lines = uwsd(other, "platforms", "--harvest", f"{site.url}/oai", "--text", "demonstration")
        (joblist,) = (line.split("\t")[4] for line in lines.splitlines())
        uwsd(other, "submit", joblist, "TEXT=from elsewhere", "--download", "got")
        assert (tmp_path / "got" / "result.txt").read_text() == "from elsewhere"
        assert not identifiers(site) & identifiers(other)
