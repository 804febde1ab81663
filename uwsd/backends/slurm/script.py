"""What Slurm is given of a task: a batch script of a few fixed lines, and sbatch's arguments.

The script starts a worker of uwsd's own, which runs on a node as it does on this machine; see
`uwsd.worker`. Nothing that a client has sent is in the script or among the arguments.
"""

import math
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import uwsd.worker
from uwsd.backends.base import Task
from uwsd.backends.slurm.options import PLACES, Options

NO_FOLDER = 74
"""Exit status of a script on a node that does not see the job's folder."""

TAKEN = 75
"""Exit status of a worker whose job has another one."""

_SCRIPT = """\
#!/bin/sh
# A job of uwsd: what it runs is in run/task.json.
cd {workspace} || exit {no_folder}
exec >>run/worker.log 2>&1
exec env -i PATH={path} {inherit} {python} -I -S {worker} {workspace} \\
    "slurm=$SLURM_JOB_ID" "host=$SLURMD_NODENAME" "partition=$SLURM_JOB_PARTITION" \\
    "restart=$SLURM_RESTART_COUNT"
"""

_MIB = 1024**2
_WORKER = 16 * _MIB  #: what the worker itself needs beside its command
_SLACK = 60  #: seconds that Slurm's own limit on time leaves to the worker's


def script(options: Options, worker: Path, workspace: Path) -> str:
    """Return the batch script of the job whose folder is ``workspace``."""
    inherit = (f'${{{name}+"{name}=${name}"}}' for name in options.inherit)
    return _SCRIPT.format(
        workspace=shlex.quote(str(workspace)),
        no_folder=NO_FOLDER,
        path=shlex.quote(options.path),
        inherit=" ".join(inherit),
        python=shlex.quote(options.python),
        worker=shlex.quote(str(worker)),
    )


def arguments(options: Options, task: Task, key: str) -> list[str]:
    """Return what sbatch is called with; the job is held until it is released."""
    return [
        "--parsable",
        "--hold",
        "--requeue" if options.requeue else "--no-requeue",
        f"--job-name={key}",
        f"--comment=uwsd {task.service}".rstrip(),
        # The environment of sbatch is ours, and next to nothing; without it Slurm would have each
        # node log in to get one, which takes a second or more and may fail. No token goes along.
        "--export=NONE" if options.token_file else "--export=ALL",
        "--propagate=NONE",
        # The script goes to the job's folder itself: where that is missing, Slurm would go to
        # /tmp instead, and could not say why if it had to open a log there.
        "--chdir=/",
        *("--input=/dev/null", "--output=/dev/null", "--error=/dev/null"),
        *("--nodes=1", "--ntasks=1"),
        *_resources(options, task),
        *(f"--{name}={value}" for name, value in _site(options).items() if value),
        *options.extra,
    ]


def minutes(options: Options, duration: int) -> int:
    """Return Slurm's own limit on time, which only has to stop what the worker could not."""
    return math.ceil((duration + options.grace + _SLACK) / 60)


def wrapped(options: Options, task: Task, workspace: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment that the worker is to use."""
    command, environment = list(task.command), dict(task.environment)
    if not task.image or not options.wrap:
        return command, environment
    places = {"image": task.image, "workspace": str(workspace), "outputs": f"{workspace}/outputs"}
    wrap = [PLACES.sub(lambda match: places[match[1]], word) for word in options.wrap]
    # A container's HOME is its own affair: it refuses to have it set.
    inside = {f"{options.wrap_prefix}{n}": v for n, v in environment.items() if n != "HOME"}
    return [*wrap, *command], environment | inside


def _resources(options: Options, task: Task) -> Iterator[str]:
    if task.cpus:
        yield f"--cpus-per-task={math.ceil(task.cpus)}"
    if task.memory:
        yield f"--mem={math.ceil((task.memory + _WORKER) / _MIB)}M"
    if task.gpus:
        yield options.gpu.format(gpus=task.gpus)
    if task.duration:
        yield f"--time={minutes(options, task.duration)}"


def _site(options: Options) -> Mapping[str, str]:
    names = ("partition", "account", "qos", "reservation", "constraint", "licenses")
    return {name: getattr(options, name) for name in names}


def install_worker(root: Path) -> Path:
    """Put the worker where the nodes see it, beside the workspaces; return its folder.

    It is named by its content: jobs that wait for another version of uwsd find that one.
    """
    source = Path(uwsd.worker.__file__).parent
    files = {file.name: file.read_bytes() for file in sorted(source.glob("*.py"))}
    digest = sha256(b"".join(b"%s\0%s\0" % (n.encode(), c) for n, c in files.items()))
    target = root / f".worker-{digest.hexdigest()[:16]}"
    if not target.is_dir():
        draft = root / f".draft-{secrets.token_hex(4)}"
        draft.mkdir(mode=0o755)
        for name, content in files.items():
            (draft / name).write_bytes(content)
            (draft / name).chmod(0o644)
        draft.chmod(0o755)
        with suppress(OSError):  # another process was quicker
            draft.rename(target)
        shutil.rmtree(draft, ignore_errors=True)
    return target
