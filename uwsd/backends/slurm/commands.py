"""Slurm's commands, run where they are: on this machine, or behind a prefix such as ssh.

Nothing of the server's environment reaches them, so that no ``SBATCH_*`` or ``SLURM_*`` variable
changes what they do. Whatever does not come from an administrator is an argument, quoted where
a shell is on the way.
"""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from uwsd.backends.base import BackendError, Unreachable
from uwsd.backends.slurm.options import Options

_NOBODY_ANSWERS = re.compile(
    r"""
      Unable\ to\ contact\ slurm | Socket\ timed\ out | Zero\ Bytes\ were | Connection\ (re|timed)
    | communication\ (connection\ )?failure | Transport\ endpoint | in\ standby\ mode
    | authentication\ error | Invalid\ authentication | Munge\ | munged | credential
    | Could\ not\ establish\ a\ configuration | DNS\ SRV\ lookup | resolve\ (hostname|host)
    | Unable\ to\ process\ configuration | Incompatible\ versions\ of\ client
    | temporarily\ un(able|available) | Unexpected\ message\ received | ^ssh:\ | Host\ key\ ver
    | Permission\ denied\ \(publickey | RPC\ rate\ limit | server\ not\ responding
    | command\ not\ found
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
"""What commands say when the cluster, not what was asked of it, is the trouble."""

_FROM_STDIN = 'IFS= read -r SLURM_JWT; export SLURM_JWT; exec "$@"'
"""For a shell behind the prefix: a token must not be an argument, which everybody can see."""

_NOT_STARTED = frozenset({126, 127, 255})
"""Exit statuses of env, chroot and ssh when they have not got to the command."""

_PATIENCE = 1.0  #: seconds for a killed command to be gone
_FEW = 500  #: characters of what a command says that are repeated


class Failed(BackendError):
    """A command was answered, by a refusal; the text is what it said."""


class Commands:
    """How to run one of Slurm's commands, and to know what became of it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._conf = options.conf or ("" if options.via else os.environ.get("SLURM_CONF", ""))

    def run(
        self,
        *words: str,
        account: str = "",
        stdin: str = "",
        timeout: float | None = None,
        keep: Sequence[int] = (),
    ) -> str:
        """Run a command, in an ``account`` if it is not to be the server's; return what it prints.

        ``keep``: file descriptors that are open in it, too. Raises `Failed`, or `Unreachable`
        when nobody has answered; then it is not known whether anything was done.
        """
        command, environment = self._command(words, account)
        token = self._token()
        if token and self._options.via:
            stdin = f"{token}\n{stdin}"
        elif token:
            environment["SLURM_JWT"] = token
        return _run(
            words[0], command, environment, stdin, timeout or self._options.timeout, keep=keep
        )

    def _command(self, words: Sequence[str], account: str) -> tuple[list[str], dict[str, str]]:
        options = self._options
        told = {
            "PATH": options.path,
            "LC_ALL": "C",
            "SLURM_TIME_FORMAT": "%s",
            **({"SLURM_CONF": self._conf} if self._conf else {}),
        }
        words = [*self._sudo(account), *words]
        if not options.via:
            return words, told
        if options.token_file:
            words = ["sh", "-c", _FROM_STDIN, "sh", *words]
        words = ["env", "-i", *(f"{name}={value}" for name, value in told.items()), *words]
        there = [shlex.join(words)] if options.has_shell else words
        return [*options.via, *there], _own_environment()

    def _sudo(self, account: str) -> list[str]:
        if not account:
            return []
        kept = ["--preserve-env=SLURM_CONF"] if self._conf else []
        return ["sudo", "-n", *kept, "-u", account, "--"]

    def _token(self) -> str:
        if self._options.token_file is None:
            return ""
        try:
            return self._options.token_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise Unreachable(f"the token cannot be read: {error}") from error


def _own_environment() -> dict[str, str]:
    """Return what ssh and its like need to find their keys and agents."""
    names = ("PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "KRB5CCNAME")
    return {name: os.environ[name] for name in names if name in os.environ}


def _run(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    stdin: str,
    timeout: float,
    *,
    keep: Sequence[int],
) -> str:
    process = _start(command, environment, keep)
    try:
        out, said = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        _abandon(process)
        raise Unreachable(f"{name} did not answer within {timeout:g} s") from None
    if process.returncode == 0:
        return out
    said = " ".join((said.strip() or out).split())[:_FEW] or f"exit status {process.returncode}"
    if _NOBODY_ANSWERS.search(said) or process.returncode in _NOT_STARTED:
        raise Unreachable(f"{name}: {said}")
    raise Failed(said)


def _start(
    command: Sequence[str], environment: Mapping[str, str], keep: Sequence[int]
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=keep,
            text=True,
            errors="replace",
            start_new_session=True,  # what interrupts the server does not interrupt a submission
        )
    except OSError as error:
        raise Unreachable(f"{command[0]} cannot be started: {error.strerror}") from error


def _abandon(process: subprocess.Popen[str]) -> None:
    """Kill a command and what it has started; let go of what sudo has made somebody else's."""
    with suppress(PermissionError, ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
