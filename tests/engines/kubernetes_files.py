"""What the parts of a private Kubernetes read: certificates, kubeconfigs, settings, images."""

import hashlib
import io
import json
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PAUSE = "uwsd.test/pause:1"
BUSYBOX = "uwsd.test/busybox:1"
PYTHON = "uwsd.test/python:1"

_PATH = "PATH=/usr/local/bin:/usr/bin:/bin"
_SUBJECTS: Mapping[str, str] = {
    "apiserver": "/CN=kube-apiserver",
    "admin": "/O=system:masters/CN=admin",
    "kcm": "/CN=system:kube-controller-manager",
    "ks": "/CN=system:kube-scheduler",
    "kubelet": "/O=system:nodes/CN=system:node:node1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where one engine has its files, its ports and its networks."""

    folder: Path
    api: int
    etcd: int
    etcd_peer: int
    controllers: int
    scheduler: int
    kubelet: int
    kubelet_health: int
    number: int  #: of its networks: other engines on this machine have others

    @property
    def node_address(self) -> str:
        return f"10.77.{self.number}.1"

    @property
    def pods_gateway(self) -> str:
        return f"10.88.{self.number}.1"

    @property
    def node_bridge(self) -> str:
        return f"uwsdn{self.number}"

    @property
    def pods_bridge(self) -> str:
        return f"uwsdp{self.number}"

    @property
    def group(self) -> str:
        return f"uwsd-kubernetes-{self.number}"

    @property
    def containerd(self) -> Path:
        return self.folder / "ctr/containerd.sock"


def write_certificates(places: Places) -> None:
    """Make an authority, and a certificate for everybody."""
    pki = places.folder / "pki"
    pki.mkdir()
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=pki)

    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=uwsd-tests")
    names = {
        "apiserver": "IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc",
        "kubelet": f"IP:{places.node_address},DNS:node1",
    }
    for name, subject in _SUBJECTS.items():
        files = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("req", *key[:-2], *files, "-subj", subject)
        extensions = "extendedKeyUsage=serverAuth,clientAuth\n"
        if name in names:
            extensions += f"subjectAltName={names[name]}\n"
        (pki / f"{name}.ext").write_text(extensions, encoding="ascii")
        signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", *signing),
            *("-extfile", f"{name}.ext", "-out", f"{name}.crt"),
        )
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key")
    openssl("ec", "-in", "sa.key", "-pubout", "-out", "sa.pub")


def kubeconfig(places: Places, user: Mapping[str, str], namespace: str = "default") -> str:
    """Return a kubeconfig (JSON is YAML) for a user."""
    cluster = {
        "server": f"https://127.0.0.1:{places.api}",
        "certificate-authority": str(places.folder / "pki/ca.crt"),
    }
    context = {"cluster": "tests", "user": "user", "namespace": namespace}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "user", "user": dict(user)}],
            "contexts": [{"name": "tests", "context": context}],
            "current-context": "tests",
        }
    )


def certified(places: Places, name: str) -> dict[str, str]:
    """Return how a kubeconfig tells who has a certificate."""
    pki = places.folder / "pki"
    return {"client-certificate": f"{pki}/{name}.crt", "client-key": f"{pki}/{name}.key"}


def containerd_settings(places: Places) -> str:
    """Return containerd's configuration, for a machine without systemd and CAP_SYS_RESOURCE."""
    return f"""version = 2
root = "{places.folder}/ctr/root"
state = "{places.folder}/ctr/state"
[grpc]
  address = "{places.containerd}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{places.folder}/cni"
"""


def network_settings(places: Places) -> str:
    """Return the one network that pods are in: it reaches this machine, and nothing else."""
    bridge = {
        "type": "bridge",
        "bridge": places.pods_bridge,
        "isGateway": True,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "dataDir": str(places.folder / "addresses"),
            "ranges": [[{"subnet": f"10.88.{places.number}.0/24"}]],
            "routes": [{"dst": f"10.77.{places.number}.0/24"}],
        },
    }
    return json.dumps({"cniVersion": "0.4.0", "name": "tests", "plugins": [bridge]})


def kubelet_settings(places: Places) -> str:
    """Return the kubelet's configuration: nothing of it outside the folder, as far as it can."""
    pki = places.folder / "pki"
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "address": places.node_address,
        "port": places.kubelet,
        "healthzPort": places.kubelet_health,
        "readOnlyPort": 0,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{places.group}",
        "containerRuntimeEndpoint": f"unix://{places.containerd}",
        "failSwapOn": False,
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "nodeStatusUpdateFrequency": "5s",
        "clusterDNS": ["10.96.0.10"],
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(places.folder / "logs"),
        "volumePluginDir": str(places.folder / "volume-plugins"),
        "maxPods": 200,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "registryPullQPS": 0,
    }
    return json.dumps(settings)


def write_image(target: Path, name: str, layer: bytes, entrypoint: Iterable[str] = ()) -> None:
    """Write an image of one layer as `docker save` does, which containerd can import."""
    settings: dict[str, object] = {"Env": [_PATH]}
    if entrypoint:
        settings["Entrypoint"] = list(entrypoint)
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as tar:
        _add(tar, "config.json", json.dumps(config).encode())
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        _add(tar, "layer.tar", layer)


def write_layer(content: Mapping[str, bytes]) -> bytes:
    """Return a root folder with these files and nothing else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in content.items():
            _add(tar, name, text)
    return buffer.getvalue()


def busybox_layer() -> bytes:
    """Return a root folder with busybox and its names."""
    return _layer(python=False)


def python_layer() -> bytes:
    """Return a root folder with busybox, and with this machine's own Python."""
    return _layer(python=True)


def _layer(*, python: bool) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "usr", "usr/bin", "usr/lib"):
            _add_folder(tar, name)
        _add_folder(tar, "tmp", 0o1777)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
        tar.add("/bin/busybox", "bin/busybox")
        said = subprocess.run(["busybox", "--list"], check=True, capture_output=True, text=True)
        for applet in set(said.stdout.split()) - {"busybox"}:
            _add_link(tar, f"bin/{applet}", "busybox")
        if python:
            _add_python(tar)
    return buffer.getvalue()


def _add_python(tar: tarfile.TarFile) -> None:
    library = Path(
        sysconfig.get_path("stdlib", "posix_prefix", {"installed_base": sys.base_prefix})
    )
    program = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    objects = [program, *library.glob("lib-dynload/*.so")]
    found = {word for each in objects for word in _libraries(each)}
    for path in sorted(found):
        tar.add(Path(path).resolve(), path.lstrip("/"))
    tar.add(program.resolve(), "usr/bin/python3")
    unwanted = {"test", "site-packages", "dist-packages", "__pycache__", "idlelib", "ensurepip"}
    tar.add(
        library,
        f"usr/lib/{library.name}",
        filter=lambda member: None if Path(member.name).name in unwanted else member,
    )


def _libraries(program: Path) -> Iterable[str]:
    said = subprocess.run(["ldd", str(program)], check=False, capture_output=True, text=True)
    return (word for word in said.stdout.split() if word.startswith("/"))


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def _add_folder(tar: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    tar.addfile(member)


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)
