"""From a task to one job on the cluster, also when the server is killed on the way."""

from pathlib import Path

import pytest

from tests.backends.contract import shell, task
from tests.backends.slurm.site import GO, Site
from tests.engines.daemons import wait_until
from uwsd.backends.base import Handle, State, TaskRefused, Unreachable
from uwsd.backends.slurm import Options


def test_a_job_that_slurm_has_taken_unnoticed_is_found_and_starts_once(site: Site) -> None:
    once = shell("echo run >>runs")
    (id_,) = site.cut_short(site.backend(), once)
    backend = site.backend()
    handle = backend.submit(once)
    assert site.wait(backend, handle).state is State.DONE
    assert site.id(handle) == id_
    assert site.output(handle, "outputs/runs") == "run\n"


def test_a_job_that_was_left_held_is_released_by_the_next_question(site: Site) -> None:
    once = shell("echo run >>runs")
    first = site.backend()
    (id_,) = site.cut_short(first, once)
    job = first._job(once.job_id)
    note = job.note()
    assert note is not None
    job.write_note(note._replace(id=id_))
    assert site.engine.state(id_) == "PENDING"
    handle = Handle(once.job_id)
    assert site.wait(site.backend(), handle).state is State.DONE


def test_of_several_jobs_the_first_is_kept_and_the_others_are_cancelled(site: Site) -> None:
    once = shell(f"echo run >>runs; {GO}")
    ids = site.cut_short(site.backend(), once, times=3)
    backend = site.backend()
    handle = backend.submit(once)
    site.until(backend, handle, State.RUNNING)
    assert site.id(handle) == ids[0]
    wait_until(
        lambda: site.engine.state(ids[1]) == site.engine.state(ids[2]) == "CANCELLED", 30, ""
    )
    site.go(handle)
    assert site.wait(backend, handle).state is State.DONE
    assert site.output(handle, "outputs/runs") == "run\n"


def test_a_job_that_slurm_starts_twice_runs_once(site: Site) -> None:
    once = shell(f"echo run >>runs; {GO}")
    ids = site.cut_short(site.backend(), once, times=2)
    site.engine.run("scontrol", "release", ",".join(ids))
    site.wait_for("outputs/runs", Handle(once.job_id))
    ended = ("COMPLETED", "FAILED")
    wait_until(lambda: any(site.engine.state(id_) in ended for id_ in ids), 30, "both run")
    backend = site.backend()
    handle = backend.submit(once)
    site.go(handle)
    assert site.wait(backend, handle).state is State.DONE
    assert site.output(handle, "outputs/runs") == "run\n"


@pytest.mark.parametrize(
    ("options", "wants", "sentence"),
    [
        ({"partition": "nonsense"}, {}, "Invalid partition"),
        ({"account": "nobodys"}, {}, "Invalid account"),
        ({"qos": "nonsense"}, {}, "Invalid qos"),
        ({"reservation": "nonsense"}, {}, "reservation"),
        ({"constraint": "nonsense"}, {}, "feature"),
        ({"licenses": "nonsense"}, {}, "license"),
        ({}, {"cpus": 1000.0}, "processors"),
        ({"partition": "short"}, {"duration": 86400}, "time limit"),
    ],
    ids=str,
)
def test_what_slurm_will_never_run_is_refused_in_its_own_words(
    private: Site, options: dict[str, object], wants: dict[str, object], sentence: str
) -> None:
    backend = private.backend(**options)
    refused = shell("true", **wants)
    with pytest.raises(TaskRefused) as refusal:
        backend.submit(refused)
    assert sentence in str(refusal.value)
    assert "sbatch" not in str(refusal.value)
    assert backend.find(refused.job_id) is None
    assert backend.poll([Handle(refused.job_id)])[Handle(refused.job_id)].state is State.LOST


def test_variables_of_the_server_do_not_change_what_slurm_is_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "SBATCH_PARTITION",
        "SBATCH_QOS",
        "SLURM_CLUSTERS",
        "SQUEUE_FORMAT2",
        "SQUEUE_USERS",
    ):
        monkeypatch.setenv(name, "nonsense")
    monkeypatch.setenv("SBATCH_TIMELIMIT", "0:01")
    backend = site.backend()
    assert site.wait(backend, backend.submit(task("true"))).state is State.DONE


def test_what_a_task_asks_for_is_what_slurm_gives(private: Site) -> None:
    backend = private.backend(partition="short", extra=("--nice=7",))
    handle = backend.submit(shell(GO, cpus=1.5, memory=200 * 1024**2, duration=90, gpus=1))
    shown = private.engine.run("scontrol", "show", "-o", "job", private.id(handle))
    fields = dict(part.split("=", 1) for part in shown.split() if "=" in part)
    assert (fields["Partition"], fields["CPUs/Task"], fields["Nice"]) == ("short", "2", "7")
    assert (fields["TimeLimit"], fields["Requeue"]) == ("00:03:00", "0")
    assert "mem=216M" in shown
    assert "gpu:1" in shown or "gres/gpu=1" in shown


def test_a_job_with_a_gpu_is_told_which(private: Site) -> None:
    backend = private.backend()
    handle = backend.submit(task("/usr/bin/env", environment={}, gpus=1))
    private.wait(backend, handle)
    assert private.output(handle).startswith(
        ("CUDA_VISIBLE_DEVICES=0\n", "CUDA_VISIBLE_DEVICES=1\n")
    )


def test_a_task_with_an_image_is_started_by_what_wraps_it(site: Site) -> None:
    wrap = ("env", "IMAGE={image}", "AT={outputs}")
    backend = site.backend(wrap=wrap, wrap_prefix="INSIDE_")
    image = "docker://registry/it's:{workspace}"
    handle = backend.submit(
        task("/usr/bin/env", environment={"X": "1", "PATH": "/bin"}, image=image)
    )
    site.wait(backend, handle)
    lines = site.output(handle).splitlines()
    assert f"IMAGE={image}" in lines
    assert f"AT={site.root / handle}/outputs" in lines
    assert {"X=1", "INSIDE_X=1", "PATH=/bin", "INSIDE_PATH=/bin"} <= set(lines)


def test_nothing_of_a_task_is_in_the_script_or_among_the_arguments(site: Site) -> None:
    seen = site.root.parent / "seen"
    watch = ("sh", "-c", f'tee -a {seen} <<-EOF >/dev/null\n$*\nEOF\ntee -a {seen} | "$@"', "sh")
    backend = site.backend(via=(*watch, *site.engine.prefix), via_shell=False)
    secret = task("echo", "hunter2", environment={"SECRET": "hunter2"}, files={"x": b"hunter2"})
    handle = backend.submit(secret)
    assert site.wait(backend, handle).state is State.DONE
    assert "#!/bin/sh" in seen.read_text()
    assert "hunter2" not in seen.read_text()


def test_commands_go_through_ssh_whatever_is_in_their_words(site: Site, ssh: list[str]) -> None:
    site.root = site.root.parent / 'it\'s a "$(touch pwned)" `touch pwned` folder; touch pwned'
    backend = site.backend(via=tuple(ssh))
    handle = backend.submit(shell("pwd; exit 3", service="a 'b' $(c)"))
    report = site.wait(backend, handle)
    assert (report.state, report.exit_code) == (State.FAILED, 3)
    assert site.output(handle) == f"{site.root / handle}/outputs\n"
    assert not (Path.home() / "pwned").exists()


def test_a_login_node_that_does_not_answer_is_silence(site: Site, ssh: list[str]) -> None:
    backend = site.backend(via=("ssh", "-p", "1", "-oBatchMode=yes", "root@127.0.0.1"))
    waits = task("true")
    with pytest.raises(Unreachable, match="Connection refused"):
        backend.submit(waits)
    with pytest.raises(Unreachable):
        backend.check() and backend.submit(waits)
    later = site.backend()
    assert site.wait(later, later.submit(waits)).state is State.DONE


@pytest.mark.parametrize(
    "broken",
    [
        {"via": ("/no/such/program",)},
        {"path": "/nowhere"},
        {"conf": "/no/such/slurm.conf", "timeout": 1},
        {"token_file": "/no/such/token"},
    ],
    ids=str,
)
def test_a_cluster_that_cannot_be_asked_is_silence(site: Site, broken: dict[str, object]) -> None:
    backend = site.backend(**broken)
    with pytest.raises(Unreachable):
        backend.submit(task("true"))
    with pytest.raises(Unreachable):
        backend.check()


def test_options_that_cannot_be_meant_are_refused() -> None:
    assert all(field.description for field in Options.model_fields.values())
    for wrong in (
        {"run_as": "a b"},
        {"run_as": "{group}"},
        {"gpu": "{gpus}"},
        {"gpu": "--gpus=2"},
        {"wrap": ("x", "{home}")},
        {"inherit": ("A B",)},
        {"run_as": "a", "token_file": "b"},
        {"partitions": "x"},
    ):
        with pytest.raises(ValueError, match=r"."):
            Options.model_validate(wrong)
