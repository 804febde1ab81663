"""What Jobs and pods say: the rows of the tables that no cluster of one node can show."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from uwsd.backends.base import State
from uwsd.backends.kubernetes.endings import Ending
from uwsd.backends.kubernetes.states import Trouble, Verdict, judge

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
UID = "6f1c"


def stamp(seconds: float = 0) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(
    *conditions: tuple[str, str], annotations: Mapping[str, str] | None = None, **spec: object
) -> dict[str, Any]:
    told = [
        {"type": t, "status": "True", "reason": r, "message": "…", "lastTransitionTime": stamp()}
        for t, r in conditions
    ]
    metadata = {"name": "j", "uid": UID, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": told}}


def pod(phase: str, state: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    statuses = [] if state is None else [{"name": "job", "state": state}]
    metadata = {
        "name": "p",
        "uid": "p1",
        "creationTimestamp": stamp(-100),
        "ownerReferences": [{"uid": UID}],
        **more.pop("metadata", {}),
    }
    return {
        "metadata": metadata,
        "spec": {"nodeName": "n1", "containers": [{"name": "job"}]},
        "status": {"phase": phase, "containerStatuses": statuses, **more},
    }


def terminated(code: int, reason: str = "Error", message: str = "") -> Mapping[str, Any]:
    times = {"startedAt": stamp(-50), "finishedAt": stamp(-10)}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}


def verdict(job: dict[str, Any], *pods: dict[str, Any], warning: str = "") -> Verdict:
    return judge(job, pods, lambda _: warning, NOW)


RUNNING = {"running": {"startedAt": stamp(-50)}}
LEAVING = {"deletionTimestamp": stamp(-1)}
FAILED = ("Failed", "BackoffLimitExceeded")
LATE = ("Failed", "DeadlineExceeded")


@pytest.mark.parametrize(
    ("reason", "message", "state", "transient"),
    [
        ("Evicted", "The node was low on resource: memory.", State.FAILED, True),
        (
            "Evicted",
            'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi".',
            State.EXCEEDED,
            False,
        ),
        ("DeadlineExceeded", "Pod was active on the node longer", State.EXCEEDED, False),
        ("NodeShutdown", "Pod was terminated", State.FAILED, True),
        ("Terminated", "Pod was terminated", State.FAILED, True),
        ("Preempting", "Preempted in order to admit critical pod", State.FAILED, True),
        ("OutOfcpu", "Node didn't have enough resource: cpu", State.FAILED, True),
        ("OutOfpods", "", State.FAILED, True),
        ("UnexpectedAdmissionError", "Allocate failed", State.FAILED, True),
        ("NodeLost", "", State.FAILED, True),
        ("SomethingNew", "nobody knows", State.FAILED, True),
    ],
)
def test_a_pod_that_failed_as_a_whole(
    reason: str, message: str, state: State, transient: bool
) -> None:
    report = verdict(job(FAILED), pod("Failed", reason=reason, message=message)).report
    assert (report.state, report.transient) == (state, transient)
    assert message in report.message


@pytest.mark.parametrize(
    "reason",
    [
        "PreemptionByScheduler",
        "DeletionByTaintManager",
        "DeletionByPodGC",
        "TerminationByKubelet",
        "SomethingNew",
    ],
)
def test_a_pod_that_was_taken_away(reason: str) -> None:
    taken = {"type": "DisruptionTarget", "status": "True", "reason": reason}
    gone = pod("Failed", terminated(143), conditions=[taken], metadata=LEAVING)
    report = verdict(job(FAILED), gone).report
    assert (report.state, report.transient) == (State.FAILED, True)
    assert "143" not in report.message


@pytest.mark.parametrize(
    ("end", "state", "words"),
    [
        (terminated(0, "Completed"), State.DONE, ""),
        (terminated(3), State.FAILED, "exit status 3"),
        (terminated(127, message="cannot start 'x'\n"), State.FAILED, "127: cannot start 'x'"),
        (terminated(128, "StartError", 'exec: "/bin/sh"'), State.FAILED, "/bin/sh"),
        (terminated(137, "ContainerStatusUnknown"), State.FAILED, "nobody saw"),
        (terminated(137), State.FAILED, "SIGKILL"),
        (terminated(137, "OOMKilled"), State.EXCEEDED, "memory"),
        (terminated(0, "OOMKilled"), State.EXCEEDED, "memory"),
        (None, State.FAILED, "nobody saw"),
    ],
    ids=str,
)
def test_how_a_container_ended(end: Mapping[str, Any] | None, state: State, words: str) -> None:
    phase = "Succeeded" if end and end["terminated"]["exitCode"] == 0 else "Failed"
    report = verdict(job(), pod(phase, end)).report
    assert report.state is state
    assert words in report.message
    assert "\n" not in report.message


@pytest.mark.parametrize(
    ("end", "transient"),
    [
        (terminated(3), False),
        (terminated(128, "StartError", 'exec: "/bin/sh": no such file or directory'), False),
        (terminated(128, "StartError", "failed to start shim: connection reset by peer"), True),
        (terminated(137, "ContainerStatusUnknown"), True),
        (terminated(255, "Unknown"), True),
        (terminated(255), False),
        (None, True),
    ],
    ids=str,
)
def test_what_might_succeed_if_it_is_tried_again(
    end: Mapping[str, Any] | None, transient: bool
) -> None:
    assert verdict(job(), pod("Failed", end)).report.transient is transient


@pytest.mark.parametrize("word", ["Complete", "SuccessCriteriaMet"])
def test_a_job_is_not_over_before_its_pods_are(word: str) -> None:
    complete = job((word, "CompletionsReached"))
    complete["status"] |= {"startTime": stamp(-60), "completionTime": stamp(-10)}
    assert verdict(complete, pod("Running", RUNNING)).report.state is State.RUNNING
    assert verdict(complete, pod("Running", RUNNING, metadata=LEAVING)).report.started
    # The pod may have been removed since, as by the garbage collector.
    report = verdict(complete).report
    assert (report.state, report.exit_code) == (State.DONE, 0)
    assert report.started
    assert report.ended


def test_a_job_that_failed_and_whose_pod_is_gone() -> None:
    report = verdict(job(FAILED)).report
    assert (report.state, report.transient) == (State.FAILED, True)
    policy = verdict(job(("Failed", "PodFailurePolicy")), pod("Failed", metadata=LEAVING)).report
    assert "PodFailurePolicy" in policy.message


def test_a_deadline_means_what_the_job_was_doing() -> None:
    running = {"uwsd.duration": "60", "uwsd.started": stamp(-60)}
    report = verdict(job(LATE, annotations=running)).report
    assert (report.state, report.started) == (State.EXCEEDED, NOW - timedelta(seconds=60))
    assert "60 s" in report.message
    waiting = verdict(job(LATE, annotations={"uwsd.duration": "60"})).report
    assert waiting.state is State.FAILED
    assert "waited" in waiting.message


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (Ending("cancel").dump(), State.CANCELLED),
        (Ending("duration", "too long").dump(), State.EXCEEDED),
        (Ending("hopeless", "no image").dump(), State.FAILED),
        ("edited by hand", State.CANCELLED),
    ],
)
def test_what_the_server_ended_it_ended_for_its_reason(ending: str, state: State) -> None:
    noted = {"uwsd.ending": ending}
    assert verdict(job(LATE, annotations=noted)).report.state is state
    killed = pod("Failed", terminated(137), metadata=LEAVING)
    assert verdict(job(annotations=noted), killed).report.state is state
    assert verdict(job(annotations=noted, suspend=True)).report.state is state
    assert not verdict(job(annotations=noted), pod("Running", RUNNING)).report.state.is_over
    assert not verdict(job(annotations=noted)).report.state.is_over


def test_a_job_that_was_quicker_than_its_cancellation_is_done() -> None:
    noted = {"uwsd.ending": Ending("cancel").dump()}
    done = pod("Succeeded", terminated(0, "Completed"))
    assert not verdict(job(annotations=noted), done).report.state.is_over
    complete = job(("Complete", "CompletionsReached"), annotations=noted)
    assert verdict(complete, done).report.state is State.DONE


def test_a_pod_that_was_told_to_end_has_no_last_word() -> None:
    killed = pod("Failed", terminated(143), metadata=LEAVING)
    assert not verdict(job(), killed).report.state.is_over


@pytest.mark.parametrize(
    ("warning", "trouble"),
    [
        ("", Trouble.NONE),
        ('pods "x" is forbidden: exceeded quota: q, requested: pods=1', Trouble.NONE),
        ('pods "x" is forbidden: violates PodSecurity "restricted"', Trouble.FOR_NOW),
        ("Internal error occurred: failed calling webhook", Trouble.FOR_NOW),
    ],
)
def test_a_job_without_a_pod(warning: str, trouble: Trouble) -> None:
    found = verdict(job(), warning=warning)
    assert (found.report.state, found.trouble) == (State.WAITING, trouble)
    assert warning in found.report.message


@pytest.mark.parametrize(
    ("reason", "state", "trouble"),
    [
        ("ContainerCreating", State.WAITING, Trouble.NONE),
        ("ErrImagePull", State.WAITING, Trouble.FOR_NOW),
        ("CreateContainerError", State.WAITING, Trouble.FOR_NOW),
        ("CreateContainerConfigError", State.WAITING, Trouble.FOR_NOW),
        ("ErrImageNeverPull", State.WAITING, Trouble.FOR_GOOD),
        ("WaitsForGodot", State.UNKNOWN, Trouble.NONE),
    ],
)
def test_a_container_that_waits(reason: str, state: State, trouble: Trouble) -> None:
    found = verdict(job(), pod("Pending", {"waiting": {"reason": reason, "message": "because"}}))
    assert (found.report.state, found.trouble) == (state, trouble)
    assert reason in found.report.message or trouble is Trouble.NONE
    mount = verdict(
        job(), pod("Pending", {"waiting": {"reason": "ContainerCreating"}}), warning="no volume"
    )
    assert (mount.report.message, mount.trouble) == ("no volume", Trouble.FOR_NOW)


def test_words_that_nobody_knows_are_passed_on() -> None:
    report = verdict(job(), pod("Dreaming")).report
    assert report.state is State.UNKNOWN
    assert "Dreaming" in report.message


@pytest.mark.parametrize(("since", "state"), [(5, State.RUNNING), (60, State.UNKNOWN)])
def test_a_node_that_is_silent(since: float, state: State) -> None:
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": stamp(-since)}
    for leaving in ({}, LEAVING):
        silent = pod("Running", RUNNING, conditions=[unready], metadata=leaving)
        assert verdict(job(), silent).report.state is state


def test_a_job_that_was_started_again_is_its_newest_pod() -> None:
    first = pod("Failed", terminated(143), metadata=LEAVING)
    second = pod("Pending", metadata={"creationTimestamp": stamp(-5)})
    assert verdict(job(), first, second).report.state is State.WAITING
