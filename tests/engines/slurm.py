"""A private Slurm cluster of two nodes on this machine, from Debian's packages, as root.

With accounting (slurmdbd and a MariaDB of its own) or without. Its ports are free ones, its
nodes and control groups have names of its own, and it does not touch a cluster that is there.
If ``SLURM_CONF`` is set, the tests use that cluster instead, and start nothing: then its nodes
and this machine have to share the folder that ``UWSD_SLURM_FOLDER`` names.
"""

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.engines.daemons import Daemons, wait_until
from tests.needs import lack, need

_INSTALL = "apt-get install slurm-wlm slurmdbd slurm-wlm-mysql-plugin munge mariadb-server"
_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_GROUPS = Path("/sys/fs/cgroup")
_ACCOUNT = "astro"

_NEXT = (
    *("slurm-wlm", "slurmdbd", "slurm-wlm-mysql-plugin", "slurm-wlm-jwt-plugin", "munge"),
    *("mariadb-server", "procps", "python3", "acl"),
)

_CONF = """
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={folder}/jwt.key
SlurmctldPort={controller}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool.%n
StateSaveLocation={folder}/state
ProctrackType={proctrack}
TaskPlugin={task}
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CORE_MEMORY
DefMemPerCPU=200
JobAcctGatherType=jobacct_gather/linux
SlurmctldTimeout=30
SlurmdTimeout=10
KillWait=5
MinJobAge={min_job_age}
FirstJobId={first_job}
MaxJobCount=20000
EnforcePartLimits=ALL
AccountingStorageType=accounting_storage/{storage}
PriorityType=priority/multifactor
SchedulerParameters=sched_interval=2,bf_interval=5,batch_sched_delay=0,sched_min_interval=50000
SlurmdParameters=config_overrides
GresTypes=gpu
{accounting}
PartitionName=main Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=5 State=UP
PartitionName=short Nodes={first_node} MaxTime=10 State=UP
"""

_NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
    " CPUs=8 RealMemory=8000 Gres=gpu:2 State=UNKNOWN"
)

_ACCOUNTING = """
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations,limits,qos
AccountingStoreFlags=job_comment
PreemptType=preempt/qos
PreemptMode=REQUEUE
"""

_SLURMDBD = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=private
StorageLoc=slurm
"""

_CGROUP = """
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
AllowedSwapSpace=0
"""


@dataclass(frozen=True, slots=True)
class Slurm:
    """A cluster, as tests see it."""

    options: Mapping[str, object]  #: the backend's table in uwsd.toml
    environment: Mapping[str, str]
    prefix: tuple[str, ...] = ()  #: how to get where its commands are
    daemons: Daemons | None = None  #: None: it is somebody else's, and nothing of it is killed
    nodes: tuple[str, ...] = ()
    shared: Path | None = None  #: a folder that its nodes see, where they do not see every one
    folder: Path = Path("/")  #: where a private one is

    def run(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's commands as an administrator would; return what it prints."""
        done = subprocess.run(
            [*self.prefix, *command],
            check=False,
            capture_output=True,
            text=True,
            env=dict(self.environment),
            timeout=60,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def state(self, job: str) -> str:
        """Return what squeue calls the state of a job now."""
        return self.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T", check=False).strip()

    def configure(self, before: str, after: str) -> None:
        """Change a line of slurm.conf, and tell the controller."""
        conf = self.folder / "slurm.conf"
        conf.write_text(conf.read_text().replace(before, after))
        self.run("scontrol", "reconfigure")

    def is_up(self) -> bool:
        """Whether all nodes wait for jobs."""
        states = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%T", check=False).split()
        return len(states) == len(self.nodes) and set(states) <= {"idle", "mixed", "allocated"}


@contextmanager
def slurm(
    *, accounting: bool = True, min_job_age: int = 300, root: Path = Path("/")
) -> Iterator[Slurm]:
    """Start a cluster, or take the one that is there; ``root``: of a system with another Slurm."""
    there = os.environ.get("SLURM_CONF")
    if there and root == Path("/"):
        shared_there = Path(os.environ.get("UWSD_SLURM_FOLDER", Path.home()))
        yield Slurm({"type": "slurm"}, dict(os.environ), shared=shared_there)
        return
    for tool in ("slurmctld", "slurmd", "munged", *(("slurmdbd", "mariadbd") * accounting)):
        if root == Path("/"):
            need(tool, _INSTALL)
    if os.geteuid() != 0:
        lack("a private Slurm cluster needs root")
    with TemporaryDirectory(prefix="uwsd-slurm-", dir=root / "tmp") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)  # jobs of other accounts have to reach munge's socket
        shared = stack.enter_context(_mounts(root)) if root != Path("/") else None
        start = _Start(Path(folder), root, shared, accounting, min_job_age)
        stack.callback(start.sweep)
        yield start.all(stack.enter_context(start.daemons))


@contextmanager
def _mounts(root: Path) -> Iterator[Path]:
    """Show a system what its daemons need of this one, and a folder of jobs that both see."""
    with TemporaryDirectory(prefix="uwsd-shared-") as shared, ExitStack() as stack:
        for place in ("/proc", "/sys", "/dev", shared):
            there = root / place.lstrip("/")
            there.mkdir(exist_ok=True)
            subprocess.run(("mount", "--rbind", "--make-rslave", place, there), check=True)
            stack.callback(subprocess.run, ("umount", "-R", "-l", there), check=True)
        for file in ("/etc/hosts", "/etc/resolv.conf"):
            shutil.copy(file, root / file.lstrip("/"))
        yield Path(shared)
    (root / shared.lstrip("/")).rmdir()


class _Start:
    """What it takes to start a cluster: its files first, then one daemon after the other."""

    def __init__(
        self, folder: Path, root: Path, shared: Path | None, accounting: bool, min_job_age: int
    ) -> None:
        self._folder = folder
        self._inside = Path("/") / folder.relative_to(root)
        self._prefix = () if root == Path("/") else ("chroot", str(root))
        self._accounting = accounting
        self._min_job_age = min_job_age
        self._cluster = f"t{secrets.token_hex(3)}"
        self._nodes = tuple(f"{self._cluster}n{number}" for number in (1, 2))
        self._database, self._dbd, self._controller, *self._ports = _free_ports(5)
        self._environment = {**_PATH, "SLURM_CONF": f"{self._inside}/slurm.conf"}
        self.daemons = Daemons(folder / "log", self._environment)
        self._slurm = Slurm(
            options={
                "type": "slurm",
                "conf": f"{self._inside}/slurm.conf",
                "via": list(self._prefix),
            },
            environment=self._environment,
            prefix=self._prefix,
            daemons=self.daemons,
            nodes=self._nodes,
            shared=shared,
            folder=folder,
        )

    def all(self, daemons: Daemons) -> Slurm:
        self._write()
        self._start_munge()
        if self._accounting:
            self._start_accounting()
        self._start("slurmctld", "slurmctld", "-D", ready=self._controller_answers)
        for node in self._nodes:
            self._start(f"slurmd.{node}", "slurmd", "-D", "-N", node, ready=lambda: True)
        wait_until(self._slurm.is_up, 60, f"no nodes: {daemons.log('slurmctld')[-2000:]}")
        return self._slurm

    def sweep(self) -> None:
        """Remove the control groups that the nodes made."""
        for node in self._nodes:
            for group in _GROUPS.glob(f"*/slurm_{node}"):
                for below, _, _ in os.walk(group, topdown=False):
                    with suppress(OSError):
                        Path(below).rmdir()

    def _start(self, name: str, *command: str, ready: object) -> None:
        assert callable(ready)
        self.daemons.start(name, *self._prefix, *command, ready=ready)

    def _controller_answers(self) -> bool:
        return "is UP" in self._slurm.run("scontrol", "ping", check=False)

    def _write(self) -> None:
        host = socket.gethostname().partition(".")[0]
        has_groups = (_GROUPS / "memory").is_dir()
        names = {
            "cluster": self._cluster,
            "host": host,
            "folder": self._inside,
            "controller": self._controller,
            "proctrack": "proctrack/cgroup" if has_groups else "proctrack/linuxproc",
            "task": "task/cgroup" if has_groups else "task/none",
            "min_job_age": self._min_job_age,
            # Two clusters on one machine must not mean the same by a job's number.
            "first_job": secrets.randbelow(10**6) + 1000,
            "storage": "slurmdbd" if self._accounting else "none",
            "port": self._dbd,
            "first_node": self._nodes[0],
        }
        accounting = _ACCOUNTING if self._accounting else ""
        nodes = [
            _NODE.format(name=name, host=host, port=port)
            for name, port in zip(self._nodes, self._ports, strict=True)
        ]
        conf, partitions = (
            _CONF.replace("{accounting}", accounting).format(**names).split("PartitionName", 1)
        )
        (self._folder / "slurm.conf").write_text(
            f"{conf}{chr(10).join(nodes)}\nPartitionName{partitions}"
        )
        (self._folder / "cgroup.conf").write_text(_CGROUP)
        # Any two character devices pass for GPUs: nobody opens them.
        gpus = "Name=gpu File=/dev/tty[0-1]"
        (self._folder / "gres.conf").write_text(f"NodeName={','.join(self._nodes)} {gpus}\n")
        for name in ("munge.key", "jwt.key"):
            (self._folder / name).write_bytes(secrets.token_bytes(64))
            (self._folder / name).chmod(0o600)
        for folder in ("state", *(f"spool.{node}" for node in self._nodes)):
            (self._folder / folder).mkdir()

    def _start_munge(self) -> None:
        at = self._inside
        self._start(
            "munged",
            *("munged", "--foreground", "--force", f"--key-file={at}/munge.key"),
            *(f"--socket={at}/munge.socket", f"--pid-file={at}/munge.pid"),
            *(f"--seed-file={at}/munge.seed", f"--log-file={at}/munge.log"),
            ready=(self._folder / "munge.socket").exists,
        )

    def _start_accounting(self) -> None:
        names = {"folder": self._inside, "port": self._dbd, "database": self._database}
        conf = self._folder / "slurmdbd.conf"
        conf.write_text(_SLURMDBD.format(**names))
        conf.chmod(0o600)
        self._start_database()
        self._start("slurmdbd", "slurmdbd", "-D", ready=self._accounting_answers)
        for what in (f"cluster {self._cluster}", f"account {_ACCOUNT}"):
            self._slurm.run("sacctmgr", "-i", "add", *what.split())
        self._slurm.run("sacctmgr", "-i", "add", "user", "root", f"account={_ACCOUNT}")

    def _accounting_answers(self) -> bool:
        return "Cluster" in self._slurm.run("sacctmgr", "show", "cluster", check=False)

    def _start_database(self) -> None:
        data, at = f"{self._inside}/mysql", f"{self._inside}/mysql.socket"
        install = ("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}")
        self._slurm.run(*install, "--auth-root-authentication-method=normal", "--skip-test-db")
        self._start(
            "mariadbd",
            *("mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={at}"),
            *("--bind-address=127.0.0.1", f"--port={self._database}"),
            *("--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"),
            "--innodb-flush-log-at-trx-commit=0",
            ready=lambda: self._sql("select 1"),
        )
        self._sql("create database slurm; create user slurm identified by 'private'")
        self._sql("grant all on slurm.* to slurm; delete from mysql.global_priv where user=''")
        self._sql("flush privileges")

    def _sql(self, statements: str) -> bool:
        at = f"{self._inside}/mysql.socket"
        command = ("mariadb", "--no-defaults", "-S", at, "-uroot", "-e", statements)
        try:
            self._slurm.run(*command)
        except AssertionError:
            return False
        return True


def next_debian() -> Path:
    """Return the root of a Debian 13, which has Slurm 24.11: made once, where the variable says.

    It takes a minute. ``UWSD_SLURM_NEXT`` names a folder that is there, or is to be made.
    """
    place = os.environ.get("UWSD_SLURM_NEXT")
    if place is None:
        pytest.skip("UWSD_SLURM_NEXT names no folder for a Debian 13 with Slurm 24.11")
    root = Path(place)
    if not (root / "usr/sbin/slurmctld").exists():
        need("debootstrap", "apt-get install debootstrap")
        packages = f"--include={','.join(_NEXT)}"
        command = ("debootstrap", "--variant=minbase", packages, "trixie", str(root))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    return root


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def slurm_engine() -> Iterator[Slurm]:
    """A Slurm cluster with accounting."""
    with slurm() as engine:
        yield engine


@pytest.fixture(scope="session")
def slurm_without_accounting() -> Iterator[Slurm]:
    """A Slurm cluster that keeps no books, and forgets what has ended."""
    with slurm(accounting=False, min_job_age=2) as engine:
        yield engine


@pytest.fixture(scope="session")
def next_slurm_engine() -> Iterator[Slurm]:
    """A cluster of another release."""
    with slurm(root=next_debian()) as engine:
        yield engine
