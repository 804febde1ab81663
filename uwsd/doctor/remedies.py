"""What helps when a probe of a backend fails: for any engine, and better words for some."""

from collections.abc import Mapping

_ANY: Mapping[str, str] = {
    "answer": "start the engine, or correct its address and credentials in [backends.{name}]",
    "hand-over": "let the account that runs the supervisor submit jobs, and correct what is named "
    "in [backends.{name}] (queue, project, image)",
    "run": "mend what the message says; docs/operating.md tells where an engine's logs are",
    "turn": "look what is before it in the engine's queue, or wait for longer with --patience",
    "workspace": "let jobs see {root} under the same path, readable and writable for the account "
    "that they run as",
    "logs": "let jobs write to logs/ in their workspace, below {root}",
    "environment": "give jobs nothing but what their task names: no environment of the submitting "
    "process, no login files",
    "account": "let jobs run as an account that owns nothing else",
    "clock": "run an NTP client, such as chrony, here and where the jobs run",
    "file-times": "run an NTP client, such as chrony, on the file server, too",
    "network": "run services that take foreign input on an engine that can shut the network, or "
    "close it with a firewall for the account of the jobs",
    "time-limit": "let the engine enforce limits of time; until then the supervisor alone does",
    "memory-limit": "let the engine enforce limits of memory",
    "cancel": "let the account that runs the supervisor stop its own jobs",
    "release": "let the account that runs the supervisor remove what its jobs leave, on the engine "
    "and below {root}",
}

_BY_TYPE: Mapping[str, Mapping[str, str]] = {
    "local": {
        "account": "serve as an account of its own: User= in the systemd units",
        "memory-limit": "hand the supervisor a control group: Delegate=memory and "
        "DelegateSubgroup=supervisor in its systemd unit (systemd 254 or newer)",
    },
    "docker": {
        "answer": "start the engine, and let the account reach its socket: `docker version`",
        "memory-limit": "boot with memory control groups: `docker info` warns without them",
        "network": "leave `network` off for the service, so that its containers have none",
    },
    "slurm": {
        "answer": "`scontrol ping`, and `munge -n | unmunge` on both machines",
        "environment": "submit with `--export=NONE`, and keep the nodes' prolog from setting any",
        "memory-limit": "TaskPlugin=task/cgroup in slurm.conf and ConstrainRAMSpace=yes, "
        "ConstrainSwapSpace=yes in cgroup.conf",
    },
    "kubernetes": {
        "answer": "`kubectl auth can-i create jobs.batch` with the same credentials",
        "network": "put a NetworkPolicy that denies all egress into the namespace, and use a "
        "network plugin that enforces it",
    },
}


def remedy(backend: str, what: str) -> str:
    """Return what helps; ``{name}`` and ``{root}`` stand for the backend's name and the folder."""
    return _BY_TYPE.get(backend, {}).get(what) or _ANY.get(what, "")
