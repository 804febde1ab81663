"""A private Kubernetes of one real node, for as long as the tests last.

Real pods, without an image registry, systemd or a cluster network beyond this machine. With
KUBECONFIG set, the engine is the one that is there, and nothing is started: `Given` tells which
variables say the rest.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pytest
from kubernetes import client, config

from tests.engines import kubernetes_files as files
from tests.engines import kubernetes_programs as programs
from tests.engines.daemons import Daemons, wait_until
from tests.engines.kubernetes_files import Places
from tests.needs import lack

NAMESPACE = "jobs"
_CLAIM = "whole-machine"
_DEBIAN = "containerd runc containernetworking-plugins iptables conntrack busybox-static openssl"
_LEVEL = {"pod-security.kubernetes.io/enforce": "restricted"}


class Kubernetes(Protocol):
    """An engine that tests can use."""

    kubeconfig: Path
    options: Mapping[str, Any]  #: the backend's table in uwsd.toml

    @property
    def api(self) -> client.ApiClient:
        """Return a client with all rights that there are."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """The engine of a site that wants to prove it, named by KUBECONFIG.

    UWSD_TEST_NAMESPACE, UWSD_TEST_CLAIM and UWSD_TEST_IMAGE (with a /bin/sh) are options of the
    backend; UWSD_TEST_VOLUME is where the claim's volume is mounted on this machine. Tests that
    kill parts of the engine are skipped.
    """

    kubeconfig: Path
    options: Mapping[str, Any]

    @classmethod
    def from_environment(cls) -> "Given":
        wanted = ("UWSD_TEST_NAMESPACE", "UWSD_TEST_CLAIM", "UWSD_TEST_VOLUME", "UWSD_TEST_IMAGE")
        if absent := [name for name in wanted if name not in os.environ]:
            pytest.fail(f"KUBECONFIG is set, and {', '.join(absent)} is not")
        namespace, claim, volume, image = (os.environ[name] for name in wanted)
        kubeconfig = Path(os.environ["KUBECONFIG"])
        options = {
            "type": "kubernetes",
            "kubeconfig": str(kubeconfig),
            "namespace": namespace,
            "image": image,
            "claim": claim,
            "claim_mount": volume,
        }
        return cls(kubeconfig, options)

    @property
    def api(self) -> client.ApiClient:
        return config.new_client_from_config(str(self.kubeconfig))


@dataclass(slots=True)
class Private:
    """An engine of our own. Its daemons: etcd apiserver kcm ks containerd kubelet, and kwok."""

    places: Places
    daemons: Daemons
    kubeconfig: Path
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def api(self) -> client.ApiClient:
        return config.new_client_from_config(str(self.kubeconfig))

    def kubeconfig_of(self, user: Mapping[str, str], namespace: str = NAMESPACE) -> Path:
        """Write a kubeconfig for somebody else."""
        path = self.places.folder / f"user-{random.getrandbits(32):08x}.conf"
        path.write_text(files.kubeconfig(self.places, user, namespace), encoding="ascii")
        return path

    def program(self, name: str) -> str:
        return str(programs.folder() / name)

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Do something as the administrator."""
        command = [self.program("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(
            command, input=given, check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def import_image(self, name: str, layer: bytes, entrypoint: Sequence[str] = ()) -> None:
        """Put an image on the node."""
        archive = self.places.folder / "image.tar"
        files.write_image(archive, name, layer, entrypoint)
        self.ctr("images", "import", str(archive))
        archive.unlink()

    def ctr(self, *arguments: str) -> str:
        command = ("ctr", "-a", str(self.places.containerd), "-n", "k8s.io", *arguments)
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        return done.stdout


@pytest.fixture(scope="session")
def kubernetes_engine() -> Iterator[Private | Given]:
    """The Kubernetes that tests run against."""
    if "KUBECONFIG" in os.environ:
        yield Given.from_environment()
        return
    with kubernetes() as engine:
        yield engine


@pytest.fixture(scope="session")
def private_kubernetes(kubernetes_engine: Private | Given) -> Private:
    """The same, for tests that harm it."""
    if isinstance(kubernetes_engine, Given):
        pytest.skip("the engine is somebody's own")
    return kubernetes_engine


@contextmanager
def kubernetes() -> Iterator[Private]:
    """Start an engine: 15 seconds; the programs are built first if they are not there."""
    _require()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="uwsd-kubernetes-")))
        places = _choose(folder)
        stack.callback(_tidy, places)
        daemons = stack.enter_context(Daemons(folder / "log"))
        # Before containerd is stopped, which leaves what it started.
        stack.callback(_end_pods, places, daemons)
        kubeconfig = folder / "admin.conf"
        engine = Private(places, daemons, kubeconfig)
        _write_files(engine)
        _start_control(engine)
        _start_node(engine)
        _furnish(engine)
        engine.options = {
            "type": "kubernetes",
            "kubeconfig": str(kubeconfig),
            "namespace": NAMESPACE,
            "image": files.BUSYBOX,
            "image_pull_policy": "Never",
            "claim": _CLAIM,
            "claim_mount": "/",
        }
        yield engine


def _require() -> None:
    if os.geteuid() != 0:
        lack("a private Kubernetes needs root")
    for tool in ("containerd", "runc", "iptables", "conntrack", "busybox", "openssl", "ip"):
        if shutil.which(tool) is None:
            lack(f"{tool} is not installed; apt-get install {_DEBIAN}")
    if missing := programs.missing():
        lack(f"{', '.join(missing)}: not built; python3 -m tests.engines.kubernetes_programs")


def _choose(folder: Path) -> Places:
    """Take ports and networks that nobody else has."""
    said = subprocess.run(["ip", "-4", "addr"], check=True, capture_output=True, text=True).stdout
    free = [n for n in range(1, 255) if f" 10.77.{n}." not in said and f" 10.88.{n}." not in said]
    names = ("api", "etcd", "etcd_peer", "controllers", "scheduler", "kubelet", "kubelet_health")
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    return Places(folder=folder, number=random.choice(free), **ports)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _write_files(engine: Private) -> None:
    places = engine.places
    for name in ("etcd", "cni", "ctr", "kubelet"):
        (places.folder / name).mkdir()
    files.write_certificates(places)
    for name in ("admin", "kcm", "ks", "kubelet"):
        text = files.kubeconfig(places, files.certified(places, name))
        (places.folder / f"{name}.conf").write_text(text, encoding="ascii")
    written = {
        "ctr/config.toml": files.containerd_settings(places),
        "cni/10-tests.conflist": files.network_settings(places),
        "kubelet/config.yaml": files.kubelet_settings(places),
    }
    for path, text in written.items():
        (places.folder / path).write_text(text, encoding="ascii")


def _start_control(engine: Private) -> None:
    places, start = engine.places, engine.daemons.start
    pki, etcd = places.folder / "pki", f"http://127.0.0.1:{places.etcd}"
    peer = f"http://127.0.0.1:{places.etcd_peer}"
    start(
        "etcd",
        engine.program("etcd"),
        f"--data-dir={places.folder}/etcd",
        f"--listen-client-urls={etcd}",
        f"--advertise-client-urls={etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        ready=lambda: _listens(places.etcd),
    )
    start(
        "apiserver",
        engine.program("kube-apiserver"),
        f"--etcd-servers={etcd}",
        f"--secure-port={places.api}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--cert-dir={places.folder}/pki",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        f"--kubelet-client-certificate={pki}/admin.crt",
        f"--kubelet-client-key={pki}/admin.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        ready=lambda: is_ready(engine),
    )
    start(
        "kcm",
        engine.program("kube-controller-manager"),
        f"--kubeconfig={places.folder}/kcm.conf",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        "--node-monitor-grace-period=20s",
        "--bind-address=127.0.0.1",
        f"--secure-port={places.controllers}",
        f"--cert-dir={places.folder}/pki",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        "--concurrent-job-syncs=20",
        "--pvclaimbinder-sync-period=1s",
        f"--flex-volume-plugin-dir={places.folder}/volume-plugins",
        ready=lambda: _listens(places.controllers),
    )
    start(
        "ks",
        engine.program("kube-scheduler"),
        f"--kubeconfig={places.folder}/ks.conf",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={places.scheduler}",
        f"--cert-dir={places.folder}/pki",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        ready=lambda: _listens(places.scheduler),
    )


def _start_node(engine: Private) -> None:
    places = engine.places
    # The kubelet refuses a loopback address for its node.
    for command in (
        f"link add {places.node_bridge} type bridge",
        f"addr add {places.node_address}/24 dev {places.node_bridge}",
        f"link set {places.node_bridge} up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    for group in _groups(places):
        group.mkdir(exist_ok=True)
        if (group / "cpuset.cpus").exists():
            for name in ("cpuset.cpus", "cpuset.mems"):
                (group / name).write_text((group.parent / name).read_text())
    engine.daemons.start(
        "containerd",
        "containerd",
        f"--config={places.folder}/ctr/config.toml",
        ready=lambda: _answers(engine),
    )
    busybox = files.busybox_layer()
    engine.import_image(files.PAUSE, busybox, ("/bin/sleep", "2147483647"))
    engine.import_image(files.BUSYBOX, busybox)
    engine.daemons.start(
        "kubelet",
        engine.program("kubelet"),
        f"--config={places.folder}/kubelet/config.yaml",
        f"--kubeconfig={places.folder}/kubelet.conf",
        f"--root-dir={places.folder}/kubelet/root",
        "--hostname-override=node1",
        f"--node-ip={places.node_address}",
        f"--cert-dir={places.folder}/kubelet/pki",
        ready=lambda: is_node_ready(engine, "node1"),
    )


def _groups(places: Places) -> list[Path]:
    """Return the control group of the engine in every hierarchy."""
    top = Path("/sys/fs/cgroup")
    if (top / "cgroup.controllers").exists():
        return [top / places.group]
    return [
        each / places.group for each in top.iterdir() if each.is_dir() and not each.is_symlink()
    ]


def _furnish(engine: Private) -> None:
    """Make the namespace of the jobs, and a claim that holds all files of this machine."""
    core = client.CoreV1Api(engine.api)
    metadata = {"name": NAMESPACE, "labels": _LEVEL}
    core.create_namespace({"metadata": metadata})
    make_claim(engine, _CLAIM, "/")


def make_claim(engine: Private, name: str, path: str, namespace: str = NAMESPACE) -> None:
    """Make a claim whose volume is a folder of this machine."""
    core = client.CoreV1Api(engine.api)
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {
        **common,
        "capacity": {"storage": "1Ti"},
        "hostPath": {"path": path},
        "claimRef": {"namespace": namespace, "name": name},
    }
    core.create_persistent_volume({"metadata": {"name": name}, "spec": volume})
    claim = {**common, "resources": {"requests": {"storage": "1Ti"}}, "volumeName": name}
    core.create_namespaced_persistent_volume_claim(
        namespace, {"metadata": {"name": name}, "spec": claim}
    )

    def is_bound() -> bool:
        found = core.read_namespaced_persistent_volume_claim(name, namespace)
        return bool(found.status.phase == "Bound")

    wait_until(is_bound, 30, f"the claim {name} is not bound")


def is_ready(engine: Private) -> bool:
    """Whether the API server answers, and may be used."""
    with suppress(Exception), engine.api as api:
        response = api.rest_client.pool_manager.request(
            "GET", f"https://127.0.0.1:{engine.places.api}/readyz", retries=False, timeout=2
        )
        return bool(response.status == 200)
    return False


def is_node_ready(engine: Private, name: str) -> bool:
    """Whether a node takes pods."""
    with suppress(client.ApiException):
        node = client.CoreV1Api(engine.api).read_node(name)
        return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions or ())
    return False


def _answers(engine: Private) -> bool:
    with suppress(subprocess.CalledProcessError):
        return bool(engine.ctr("version"))
    return False


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _end_pods(places: Places, daemons: Daemons) -> None:
    """End what containerd has started: it would outlive containerd, and for ever."""
    daemons.stop("kubelet")
    daemons.stop("containerd")
    mark = str(places.containerd).encode()
    shims = [pid for pid, line in _processes() if b"containerd-shim" in line and mark in line]
    for pid in [*_below(set(shims)), *shims]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not {pid for pid, _ in _processes()} & set(shims), 10, "shims are left")


def _processes() -> Iterator[tuple[int, bytes]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield int(path.parent.name), path.read_bytes()


def _below(parents: set[int]) -> list[int]:
    """Return the descendants of some processes."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) in parents:
                found.append(int(path.parent.name))
    return found + (_below(set(found)) if found else [])


def _tidy(places: Places) -> None:
    """Remove what is not in the folder, or keeps the folder from being removed."""
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        mounted = line.split()[1]
        if mounted.startswith(f"{places.folder}/"):
            subprocess.run(["umount", "-l", mounted], check=False)
    for bridge in (places.node_bridge, places.pods_bridge):
        subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)
    for link in Path("/var/log/containers").glob("*"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{places.folder}/"):
            link.unlink()
    for group in _groups(places):
        wait_until(partial(_is_removed, group), 5, f"{group} is still in use")


def _is_removed(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()
    return not group.exists()
