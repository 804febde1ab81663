"""Clients that people use log in, and find out how."""

import subprocess
import sys
from pathlib import Path

import pytest
import pyvo
import requests
from lxml import etree
from pyvo.auth import AuthSession

from tests.auth.conftest import PASSWORDS, Site, session
from uwsd.schemas import validate

BASIC = "ivo://ivoa.net/sso#BasicAA"
UWS = "ivo://ivoa.net/std/UWS#rest-1.1"


@pytest.mark.parametrize(
    ("service", "methods"), [("closed", [BASIC]), ("open", [None, BASIC])], ids=str
)
def test_capabilities_tell_how_to_log_in(
    site: Site, service: str, methods: list[str | None]
) -> None:
    for path in (f"/{service}/capabilities", "/capabilities"):
        answer = requests.get(site.url + path, timeout=60)
        validate(answer.content)
        joblist = f"{site.url}/{service}/async"
        found = [
            (method.get("standardID") if (method := i.find("securityMethod")) is not None else None)
            for i in etree.fromstring(answer.content).iter("interface")
            if i.findtext("accessURL") == joblist
        ]
        assert found == methods


@pytest.mark.filterwarnings("ignore::pyvo.utils.xml.exceptions.UnknownElementWarning")
def test_pyvo_logs_in_where_the_capabilities_say_so(site: Site) -> None:
    logged_in = AuthSession()
    logged_in.credentials.set_password("alice", PASSWORDS["alice"])
    service = pyvo.dal.TAPService(f"{site.url}/closed", session=logged_in)
    logged_in.update_from_capabilities(service.capabilities)
    answer = logged_in.post(f"{site.url}/closed/async", data={"FILE": "mine"}, timeout=60)
    job = pyvo.dal.AsyncTAPJob(answer.url, session=logged_in)
    assert job.owner == "alice"
    job.run().wait(timeout=60)
    job.raise_if_error()
    assert job.phase == "COMPLETED"
    (log,) = [result.href for result in job.results if result.id_ == "stdout"]
    assert logged_in.get(log, timeout=60).text == "mine"
    job.delete()


def test_pyvo_takes_a_session_that_logs_in(site: Site) -> None:
    with session("bob") as bob:
        answer = bob.post(f"{site.url}/closed/async", data={"FILE": "his"}, timeout=60)
        job = pyvo.dal.AsyncTAPJob(answer.url, session=bob)
        job.run().wait(timeout=60)
        assert (job.phase, job.owner) == ("COMPLETED", "bob")
    with pytest.raises(pyvo.dal.DALServiceError, match="log in"):
        pyvo.dal.AsyncTAPJob(answer.url)


def curl(*words: str) -> str:
    done = subprocess.run(("curl", "-sS", *words), capture_output=True, text=True, check=True)
    return done.stdout


def test_curl_logs_in(site: Site, tmp_path: Path) -> None:
    url = f"{site.url}/closed/async"
    alice = ("-u", f"alice:{PASSWORDS['alice']}")
    job = curl(*alice, "-d", "FILE=hers", "-d", "PHASE=RUN", url).strip()
    assert "<uws:ownerId>alice</uws:ownerId>" in curl(*alice, job)
    assert curl(*alice, f"{job}?WAIT=30&PHASE=QUEUED")
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    assert curl(*status, job) == "401"
    assert curl(*status, "-u", f"bob:{PASSWORDS['bob']}", job) == "403"
    assert curl(*status, "--anyauth", *alice, job) == "200"
    netrc = tmp_path / "netrc"
    netrc.write_text(f'machine 127.0.0.1 login alice password "{PASSWORDS["alice"]}"\n')
    assert curl("--netrc-file", str(netrc), "-X", "DELETE", *status, job) == "303"


def test_uwsd_submit_logs_in(site: Site, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login dora password pw\n")
    (tmp_path / ".netrc").chmod(0o600)
    site.user("add", "dora", password="pw")
    command = (sys.executable, "-m", "uwsd", "submit", f"{site.url}/closed", "FILE=x", "--wait")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with session("dora", "pw") as dora:
        assert dora.get(f"{done.stdout.split()[0]}/owner", timeout=60).text == "dora"


def test_a_browser_is_asked_for_a_password(site: Site) -> None:
    answer = session().get(f"{site.url}/login", timeout=60)
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    back = session("alice").get(f"{site.url}/login", allow_redirects=False, timeout=60)
    assert (back.status_code, back.headers["Location"]) == (303, f"{site.url}/")
