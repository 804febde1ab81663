"""What Slurm prints, of several releases, and what its words mean.

The lines of 22.05 and 24.11 are as they came from real clusters; those of 25.x and 26.x are
written after their documentation.
"""

import time
from pathlib import Path

import pytest

from tests.backends.contract import task
from uwsd.backends.base import State, Task, Unreachable
from uwsd.backends.slurm import Options
from uwsd.backends.slurm.commands import Commands
from uwsd.backends.slurm.listing import Queue, read_books
from uwsd.backends.slurm.script import arguments, minutes, script, wrapped
from uwsd.backends.slurm.states import STATES, holds, is_hopeless, meaning, waits_for
from uwsd.backends.slurm.verdict import judged, judged_unrecorded, needs_record
from uwsd.worker.records import Exit

QUEUES = {
    "22.05": """\
900855|uwsd-1-a|FAILED|0|1792|1795619295|1795619295|n1|NonZeroExitCode|
900856|uwsd-1-b|FAILED|0|9|1795619295|1795619295|n2|JobLaunchFailure|
900844|uwsd-1-c|PENDING|0|0|N/A|N/A|n/a|JobHeldUser|
900846|uwsd-1-d|PENDING|1|0|1795622870|1795623170|n/a|BeginTime|
""",
    "24.11": """\
900855|uwsd-1-a|FAILED|0|7:0|1795619295|1795619295|n1|NonZeroExitCode|
900856|uwsd-1-b|FAILED|0|0:9|1795619295|1795619295|n2|RaisedSignal:9(Killed)|
900844|uwsd-1-c|PENDING|0|0:0|N/A|N/A|n/a|JobHeldUser|
900846|uwsd-1-d|PENDING|1|0:0|1795622870|1795623170|n/a|BeginTime|
""",
    "25.11": """\
900855|uwsd-1-a|FAILED|0|7:0|1795619295|1795619295|n1|NonZeroExitCode|
900856|uwsd-1-b|FAILED|0|0:9|1795619295|1795619295|n2|RaisedSignal:9(Killed)|
900844|uwsd-1-c|PENDING|0|0:0|Unknown|Unknown||JobHeldUser|
900846|uwsd-1-d|PENDING|1|0:0|1795622870|1795623170||BeginTime|
""",
    "26.05": """\
900855|uwsd-1-a|FAILED|0|7:0|1795619295|1795619295|n1|NonZeroExitCode
900856|uwsd-1-b|FAILED|0|0:9|1795619295|1795619295|n2|RaisedSignal:9(Killed)
900844|uwsd-1-c|PENDING|0|0:0|N/A|N/A|(null)|JobHeldUser
900846|uwsd-1-d|PENDING|1|0:0|1795622870|1795623170|(null)|BeginTime
""",
}


@pytest.mark.parametrize("release", QUEUES)
def test_squeue_of_several_releases_is_read(release: str) -> None:
    queue = Queue.read("squeue: warning: something\n\n" + QUEUES[release], 0)
    failed = queue.find("900855", "uwsd-1-a")
    assert failed
    assert (failed.state, failed.code, failed.signal, failed.node) == ("FAILED", 7, None, "n1")
    assert (failed.started, failed.ended) == (1795619295, 1795619295)
    killed = queue.find("900856", "uwsd-1-b")
    assert killed
    assert (killed.code, killed.signal) == (None, 9)
    held = queue.find("900844", "uwsd-1-c")
    assert held
    assert (held.reason, held.node, held.started) == ("JobHeldUser", "", None)
    put_back = queue.find("900846", "uwsd-1-d")
    assert put_back
    assert (put_back.restarts, put_back.reason) == (1, "BeginTime")
    assert queue.find("900846", "another-name") is None


def test_a_reason_may_hold_anything() -> None:
    line = "5|a|PENDING|0|0|N/A|N/A|n/a|ReqNodeNotAvail, UnavailableNodes:n[1-2]|x|"
    job = Queue.read(line, 0).find("5", "a")
    assert job
    assert job.reason == "ReqNodeNotAvail, UnavailableNodes:n[1-2]|x"


def test_jobs_of_a_name_come_in_their_order() -> None:
    lines = [f"{id_}|a|PENDING|0|0|N/A|N/A|n/a|None|" for id_ in (10, 9, 100)]
    assert [job.id for job in Queue.read("\n".join(lines), 0).called("a")] == ["9", "10", "100"]


def test_sacct_is_read_and_half_a_record_is_none() -> None:
    books = read_books(
        "1|a|COMPLETED|0:0|1795619295|1795619299|n1\n"
        "2|b|CANCELLED by 1000|0:0|1795619295|1795619299|None assigned\n"
        "3|c|FAILED|0:0|1795619295|Unknown|n1\n"  # right after slurmdbd is back
        "4|d|OUT_OF_MEMORY|0:125|1795619295|1795619299|n1\n"
        "4.batch|batch|OUT_OF_MEMORY|0:125|1795619295|1795619299|n1\n"
    )
    assert books.keys() == {"1", "2", "4"}
    assert books["2"].node == ""
    assert meaning(books["2"].state).state is State.CANCELLED
    assert (books["4"].code, books["4"].signal) == (None, 125)


# The states of slurm.h, by the names that job_state_string() gives them.
ALL_STATES = """
    PENDING RUNNING SUSPENDED COMPLETED CANCELLED FAILED TIMEOUT NODE_FAIL PREEMPTED BOOT_FAIL
    DEADLINE OUT_OF_MEMORY LAUNCH_FAILED UPDATE_DB REQUEUED REQUEUE_HOLD SPECIAL_EXIT RESIZING
    CONFIGURING COMPLETING STOPPED RECONFIG_FAIL POWER_UP_NODE REVOKED REQUEUE_FED RESV_DEL_HOLD
    SIGNALING STAGE_OUT EXPEDITING GETENV_FAILED
"""


def test_every_state_has_a_meaning_and_a_new_one_is_told_as_it_is() -> None:
    assert set(ALL_STATES.split()) == STATES.keys()
    report = meaning("QUANTUM")
    assert (report.state, "'QUANTUM'" in report.message) == (State.UNKNOWN, True)


def test_no_end_is_taken_for_success_without_a_record() -> None:
    for state, means in STATES.items():
        if means.state.is_over:
            (job,) = Queue.read(f"5|a|{state}|0|0|1|2|n1|None|", 0).called("a")
            report = judged_unrecorded(job, cancelled=False)
            assert report.state.is_over
            assert report.state is not State.DONE
            assert report.message
            assert judged_unrecorded(job, cancelled=True).state is State.CANCELLED


@pytest.mark.parametrize(
    ("ending", "state", "expected"),
    [
        (Exit("exit", code=0), "COMPLETED", State.DONE),
        (Exit("exit", code=0), "TIMEOUT", State.DONE),
        (Exit("exit", code=0), "OUT_OF_MEMORY", State.DONE),  # its worker has looked
        (Exit("exit", code=3), "FAILED", State.FAILED),
        (Exit("exit", code=137), "OUT_OF_MEMORY", State.EXCEEDED),
        (Exit("exit", signal=9), "OUT_OF_MEMORY", State.EXCEEDED),
        (Exit("exit", signal=9), "FAILED", State.FAILED),
        (Exit("exit", signal=15), "TIMEOUT", State.EXCEEDED),
        (Exit("exit", signal=15), "PREEMPTED", State.FAILED),
        (Exit("stop", signal=15), "PREEMPTED", State.FAILED),
        (Exit("stop", signal=15), "CANCELLED", State.CANCELLED),
        (Exit("stop", signal=15), "NODE_FAIL", State.FAILED),
        (Exit("stop", signal=15), "DEADLINE", State.EXCEEDED),
        (Exit("stop", signal=15), "COMPLETED", State.LOST),
        (Exit("duration", message="too long"), "TIMEOUT", State.EXCEEDED),
        (Exit("cancel"), "CANCELLED", State.CANCELLED),
        (Exit("fetch", message="no"), "FAILED", State.FAILED),
    ],
    ids=str,
)
def test_slurm_has_the_word_on_who_killed_a_command_and_its_worker_on_the_rest(
    ending: Exit, state: str, expected: State
) -> None:
    (last,) = Queue.read(f"5|a|{state}|0|0|1|2|n1|None|", 0).called("a")
    report = judged(ending, last, cancelled=False)
    assert report.state is expected
    assert report.message or expected is State.DONE
    stopped = judged(ending, last, cancelled=True)
    assert stopped.state is (State.CANCELLED if ending.why == "stop" else expected)


def test_a_record_is_not_waited_for_where_none_can_come() -> None:
    def last(state: str, status: str) -> bool:
        (job,) = Queue.read(f"5|a|{state}|0|{status}|1|2|n1|None|", 0).called("a")
        return needs_record(job)

    assert last("COMPLETED", "0:0")
    assert last("FAILED", "3:0")
    assert not last("FAILED", "74:0")
    assert not last("FAILED", "127:0")
    assert not last("NODE_FAIL", "0:0")
    assert not last("TIMEOUT", "0:0")


@pytest.mark.parametrize(
    ("reason", "hopeless"),
    [
        ("Priority", False),
        ("Resources", False),
        ("QOSMaxCpuPerUserLimit", False),
        ("AssocGrpCpuLimit", False),
        ("QOSMaxJobsPerUserLimit", False),
        ("AssocMaxJobsLimit", False),
        ("ReqNodeNotAvail, UnavailableNodes:n1", False),
        ("QOSMaxWallDurationPerJobLimit", True),
        ("AssocMaxCpuPerJobLimit", True),
        ("QOSMaxGRESPerJob", True),
        ("QOSMaxMemoryPerNode", True),
        ("PartitionTimeLimit", True),
        ("BadConstraints", True),
        ("DependencyNeverSatisfied", True),
        ("SomethingNew", False),
    ],
)
def test_only_reasons_that_do_not_go_away_are_hopeless(reason: str, hopeless: bool) -> None:
    assert is_hopeless(reason) is hopeless
    assert f"({reason.split(',', maxsplit=1)[0]})" in waits_for(reason)


def test_whatever_holds_a_job_is_named() -> None:
    assert holds("JobHeldAdmin") == "an administrator of the cluster holds it (JobHeldAdmin)"
    assert "held" in (holds("some_new_way_to_be_held") or "")
    assert holds("Priority") is None


@pytest.mark.parametrize(
    ("duration", "expected"), [(1, 2), (55, 2), (56, 3), (600, 12), (86400, 1442)]
)
def test_slurms_limit_leaves_room_for_the_workers(duration: int, expected: int) -> None:
    assert minutes(Options(), duration) == expected
    assert 60 * expected >= duration + Options().grace + 60


def test_the_script_quotes_what_an_administrator_has_named() -> None:
    text = script(Options(python="/opt/py thon; x"), Path("/a b/$(c)"), Path("/d'e"))
    assert "cd '/d'\"'\"'e' || exit 74\n" in text
    assert "'/opt/py thon; x' -I -S '/a b/$(c)'" in text


def test_arguments_hold_nothing_that_a_client_has_sent() -> None:
    words = ("--evil", "$(x)", "#SBATCH -p y")
    sent = Task(job_id="j", command=words, environment={"E": "evil"}, user="evil")
    assert not [w for w in arguments(Options(), sent, "uwsd-1-j") if "evil" in w or "$(" in w]


def test_apptainer_is_given_what_it_takes() -> None:
    options = Options(
        wrap=(
            "apptainer",
            "exec",
            "--containall",
            "--bind",
            "{workspace}",
            "--pwd",
            "{outputs}",
            "{image}",
        )
    )
    sent = task("python3", "x.py", environment={"HOME": "/w", "N": "1"}, image="/images/a.sif")
    command, environment = wrapped(options, sent, Path("/w"))
    expected = "apptainer exec --containall --bind /w --pwd /w/outputs /images/a.sif python3 x.py"
    assert command == expected.split()
    assert environment == {"HOME": "/w", "N": "1", "APPTAINERENV_N": "1"}
    assert wrapped(options, task("true"), Path("/w"))[0] == ["true"]


def test_a_command_that_takes_too_long_is_let_go_with_all_that_it_started() -> None:
    began = time.monotonic()

    with pytest.raises(Unreachable, match="did not answer within 1 s"):
        Commands(Options(via=("sh", "-c", "sleep 30", "sh"), timeout=1)).run("squeue")
    assert time.monotonic() - began < 5
