"""``uwsd registry``, as an administrator types it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.registry.conftest import RECORD, SITE, Site
from tests.serving import Server, wait_until

OWN = RECORD.format(name="a", text=1)


def uwsd(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "uwsd", "registry", *words)
    told = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(
        command, cwd=cwd, env=told, capture_output=True, text=True, timeout=120, check=False
    )


def environment(site: Site) -> dict[str, str]:
    return {
        "UWSD_SERVER__BASE_URL": site.url,
        "UWSD_REGISTRY__FOLDER": str(site.folder),
        "UWSD_DATA": str(site.server.data),
    }


def test_a_site_begins_with_a_file_to_fill_in(tmp_path: Path) -> None:
    missing = uwsd("check", cwd=tmp_path)
    assert missing.returncode == 1
    assert "uwsd registry init" in missing.stderr
    made = uwsd("init", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "registry" / "site.toml").read_text() == SITE
    again = uwsd("init", cwd=tmp_path)
    assert again.returncode == 1
    assert "is there already" in again.stderr


def test_a_registry_anywhere_can_be_checked(site: Site, tmp_path: Path) -> None:
    done = uwsd("check", "--all", f"{site.url}/oai", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 warn, 0 fail" in done.stdout
    assert "pass  ListSets has ivo_managed" in done.stdout


def test_the_examples_names_and_addresses_keep_a_site_from_being_registered(
    site: Site, tmp_path: Path
) -> None:
    done = uwsd("register", cwd=tmp_path, **environment(site))
    assert done.returncode == 1
    for fault in ("authority is a name of your own", "somebody reads", "harvesters can reach"):
        assert f"fail  the {fault}" in done.stdout or fault in done.stdout
    assert "127.0.0.1" in done.stdout
    assert "rofr.ivoa.net" not in done.stdout
    assert "the site cannot be registered" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.xml", "<x", "a.xml:1: "),
        ("a.xml", "<x/>", "a.xml:1: "),
        ("a.xml", "<!DOCTYPE x><x/>", "document type"),
        ("a.xml", OWN.replace("Somebody</publisher>", "\n</publisher><b/>"), "a.xml:6: /"),
        ("a.xml", OWN.replace("org.example.uwsd", "org.example"), "not in the authority"),
        ("a.xml", OWN.replace('"active"', '"deleted"'), "remove its file"),
        ("site.toml", SITE.replace("org.example.uwsd", "A B"), "site.toml:5: authority.id"),
    ],
)
def test_a_file_that_is_not_good_is_named(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "site.toml").write_text(SITE)
    (folder / name).write_text(content)
    done = uwsd("check", cwd=tmp_path)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_hidden_is_no_record(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "site.toml").write_text(SITE)
    (folder / ".a.xml").write_text("<x")  # as an editor leaves it for a moment
    (folder / ".#a.xml").symlink_to("nobody@nowhere")
    done = uwsd("check", cwd=tmp_path, UWSD_SERVER__BASE_URL="http://127.0.0.1:9")
    assert "a.xml" not in done.stderr
    assert "does not answer" in done.stderr


def test_a_broken_file_is_told_and_keeps_no_job_from_running(tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "site.toml").write_text(SITE.replace("org.example.uwsd", "A B"))
    command = (sys.executable, "-m", "uwsd", "check")
    told = {"PATH": os.environ["PATH"], "UWSD_REGISTRY__FOLDER": str(folder)}
    checked = subprocess.run(
        command, env=told, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 1
    assert "site.toml:5: authority.id" in checked.stderr
    server = Server(tmp_path / "data", None, UWSD_REGISTRY__FOLDER=str(folder)).start()
    try:
        done = requests.get(f"{server.url}/demo/sync", params={"TEXT": "a"}, timeout=60)
        assert (done.status_code, done.text) == (200, "a")
        asked = requests.get(f"{server.url}/oai?verb=Identify", timeout=60)
        assert asked.status_code == 503
        (folder / "site.toml").write_text(SITE)
        wait_until(lambda: requests.get(asked.url, timeout=60).status_code == 200)
    finally:
        assert server.stop() == 0
    assert "the registry's records stay as they were" in server.log
    assert "Traceback" not in server.log
