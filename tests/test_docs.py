"""The documents: every block of commands in them is run, and what they name exists."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.needs import need
from tests.serving import Server
from uwsd.config import load

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples/agnpy/README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    return [
        Block(document, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for document in DOCUMENTS
        for text in [document.read_text()]
        for match in BLOCK.finditer(text)
        if match[1] in languages
    ]


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    kinds = {"sh", "python", "toml"}
    untested = [str(b) for b in blocks("bash", "shell", "console", "text", "yaml", "xml")]
    assert not untested, f"use one of {kinds}, or no language for what is not to be run"


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_commands_run(block: Block, server: Server, tmp_path: Path) -> None:
    if "stilts" in block.text:
        need("stilts", "apt-get install stilts")
    if "make " in block.text:
        pytest.skip("make is what runs this test")
    done = run(("bash", "-euo", "pipefail", "-c", block.text), server, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERROR" not in done.stdout or "Errors: 0" in done.stdout


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs(block: Block, server: Server, tmp_path: Path) -> None:
    done = run((sys.executable, "-W", "error", "-c", block.text), server, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_configurations_are_good(block: Block, tmp_path: Path) -> None:
    for module in (b for b in blocks("python") if b.text.startswith("# my_site.py")):
        (tmp_path / "my_site.py").write_text(module.text)
    config = tmp_path / "uwsd.toml"
    config.write_text(block.text)
    assert load(config, {}).services or load(config, {}).server.base_url


def test_the_readme_s_function_is_a_service(tmp_path: Path) -> None:
    (function,) = (b for b in blocks("python") if b.text.startswith("# my_site.py"))
    (service,) = (b for b in blocks("toml") if 'function = "my_site:seeing"' in b.text)
    (tmp_path / "my_site.py").write_text(function.text)
    (tmp_path / "uwsd.toml").write_text(service.text)
    site = Server(tmp_path / "data", tmp_path / "uwsd.toml").start()
    try:
        command = "submit", f"{site.url}/seeing", "fwhm=1.2", "--wait", "--download", "got"
        done = run((sys.executable, "-m", "uwsd", *command), site, tmp_path)
        assert done.returncode == 0, done.stderr
        assert "VOTABLE" in (tmp_path / "got" / "result.vot").read_text()
    finally:
        site.stop()


def run(command: tuple[str, ...], server: Server, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a reader would, who has followed the document so far."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "UWSD_URL": server.url, "LANG": "C.UTF-8"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_modules_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for name in set(re.findall(r"`((?:\w+/)*\w+\.py)`", text)):
        assert (ROOT / "uwsd" / name).exists() or (ROOT / name).exists(), name
