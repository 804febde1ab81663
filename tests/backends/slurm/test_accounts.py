"""Jobs in other accounts: real ones, made for the test, by sudo; and tokens."""

import multiprocessing
import os
import pwd
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.backends.contract import BEAT, shell, task
from tests.backends.slurm.site import GO, Site
from tests.engines.daemons import wait_until
from tests.needs import lack, need
from uwsd.backends.base import Handle, State, TaskRefused, Unreachable

SUDOERS = Path("/etc/sudoers.d")
COMMANDS = ", ".join(
    f"/usr/bin/{name}" for name in ["sbatch", "scancel", "scontrol", "squeue", "sacct"]
)


@contextmanager
def account(site: Site) -> Iterator[str]:
    """Make an account of this machine and of the cluster."""
    name = f"uwsdt{secrets.token_hex(4)}"
    subprocess.run(("useradd", "--no-create-home", "--home", "/nonexistent", name), check=True)
    try:
        site.engine.run("sacctmgr", "-i", "add", "user", name, "account=astro")
        yield name
    finally:
        site.engine.run("scancel", f"--user={name}", check=False)
        # A node cannot be done with a job whose account is gone.
        wait_until(
            lambda: not site.engine.run("squeue", "-h", f"--user={name}"), 30, "its jobs stay"
        )
        subprocess.run(("userdel", "--force", name), check=True, capture_output=True)


@pytest.fixture
def mapped(private: Site) -> Site:
    """Jobs on a cluster on which we can make accounts."""
    if os.geteuid() != 0:
        lack("accounts can be made by root alone")
    for tool, package in (("sudo", "sudo"), ("setfacl", "acl"), ("useradd", "passwd")):
        need(tool, f"apt-get install {package}")
    return private


@pytest.fixture
def runner(mapped: Site) -> Iterator[str]:
    with account(mapped) as name:
        yield name


@contextmanager
def may_run_as(server: str, runner: str) -> Iterator[None]:
    """Let one account run Slurm's commands in another, and nothing else."""
    rule = SUDOERS / f"uwsd-test-{server}"
    # SETENV only since this cluster's SLURM_CONF is not the system's.
    rule.write_text(f"{server} ALL=({runner}) NOPASSWD:SETENV: {COMMANDS}\n")
    rule.chmod(0o440)
    try:
        yield
    finally:
        rule.unlink()


def in_account(name: str, action: Callable[[], None]) -> None:
    """Do something in a process that belongs to an account."""
    entry = pwd.getpwnam(name)

    def act(answer: Connection) -> None:
        os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - it is raised again on the other side
            answer.send(f"{type(error).__name__}: {error}")
        else:
            answer.send(None)

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=act, args=(theirs,))
    process.start()
    assert ours.poll(60), "it does not end"
    problem = ours.recv()
    process.join()
    assert problem is None, problem


def who(site: Site, handle: Handle) -> str:
    return site.output(handle, "outputs/who").strip()


@pytest.mark.parametrize("run_as", ["fixed", "user"])
def test_a_job_runs_in_its_account(mapped: Site, runner: str, run_as: str) -> None:
    backend = mapped.backend(run_as="{user}" if run_as == "user" else runner)
    script = f"id -un >who; {GO}; umask 077; mkdir deep; echo secret >deep/own; exit 3"
    handle = backend.submit(shell(script, user=runner, files={"inputs/x": b"x"}))
    mapped.wait_for("outputs/who", handle)
    mapped.until(backend, handle, State.RUNNING)
    mapped.go(handle)
    report = mapped.wait(backend, handle)
    assert (report.state, report.exit_code) == (State.FAILED, 3)
    assert who(mapped, handle) == runner
    assert mapped.output(handle, "outputs/deep/own") == "secret\n"


def test_a_job_in_another_account_is_cancelled_and_released(mapped: Site, runner: str) -> None:
    backend = mapped.backend(run_as=runner)
    cancelled, released = (backend.submit(shell(BEAT)) for _ in range(2))
    beats = [mapped.wait_for("outputs/beat", handle) for handle in (cancelled, released)]
    backend.cancel(cancelled)
    assert mapped.wait(backend, cancelled).state is State.CANCELLED
    backend.release(released)
    for beat in beats:
        mapped.assert_still(beat)


def test_a_server_that_is_not_root_shares_folders_by_lists(mapped: Site, runner: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(account(mapped))
        stack.enter_context(may_run_as(server, runner))
        os.chown(mapped.root.parent, pwd.getpwnam(server).pw_uid, -1)

        def serve() -> None:
            backend = mapped.backend(run_as=runner)
            script = (
                "id -un >who; cat ../inputs/x; cd $(mktemp -d -p .); umask 077; echo x >own;"
                " echo own >../../own"
            )
            once = shell(script, files={"inputs/x": b"given"})
            handle = backend.submit(once)
            assert mapped.wait(backend, handle).state is State.DONE
            outputs = mapped.root / handle / "outputs"
            assert who(mapped, handle) == runner
            assert mapped.output(handle) == "given"
            assert mapped.output(handle, "own") == "own\n"
            (folder,) = [path for path in outputs.iterdir() if path.is_dir()]
            assert (folder / "own").read_text() == "x\n"
            assert (folder / "own").stat().st_uid == pwd.getpwnam(runner).pw_uid
            backend.release(handle)
            subprocess.run(("rm", "-r", str(mapped.root / handle)), check=True)

        in_account(server, serve)


def test_jobs_of_others_are_not_seen_and_the_servers_files_not_changed(
    mapped: Site, runner: str
) -> None:
    backend = mapped.backend(run_as=runner)
    script = (
        "ls ../.. && exit 1; ls -d ../run || exit 2;"
        " mv ../run ../else 2>&- && exit 3; rm -f ../run/slurm.json 2>&- && exit 4; exit 0"
    )
    handle = backend.submit(shell(script))
    report = mapped.wait(backend, handle)
    assert (report.state, report.message) == (State.DONE, "")


@pytest.mark.parametrize(
    "user", ["", "root", "Bob", "bob;id", "-u", "../x", "b\nob", "nosuchaccount"]
)
def test_a_user_who_has_no_account_is_refused(mapped: Site, user: str) -> None:
    backend = mapped.backend(run_as="{user}")
    refused = task("true", user=user)
    with pytest.raises(TaskRefused, match="account"):
        backend.submit(refused)
    assert backend.find(refused.job_id) is None


def test_a_token_says_who_asks_where_there_is_no_munge_and_is_no_argument(mapped: Site) -> None:
    token = mapped.engine.run("scontrol", "token", "username=root", "lifespan=600")
    file, seen = mapped.root.parent / "token", mapped.root.parent / "seen"
    file.write_text(token.strip().removeprefix("SLURM_JWT=") + "\n")
    watch = f'printf "%s\\n" "$*" >>{seen}; exec "$@"'
    backends = [
        mapped.backend(token_file=file, via=via, via_shell=False)
        for via in ((), ("sh", "-c", watch, "sh"))
    ]
    with mapped.without("munged"):
        with pytest.raises(Unreachable):
            mapped.backend(timeout=1).submit(task("true"))
        handles = [backend.submit(task("env")) for backend in backends]
        assert [backend.check() for backend in backends] == [None, None]
    for backend, handle in zip(backends, handles, strict=True):
        assert mapped.wait(backend, handle).state is State.DONE
    assert "sbatch" in seen.read_text()
    assert file.read_text().strip() not in seen.read_text()
