"""Where images come from: a real registry, with a real engine that pulls from it."""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends.contract import BackendContract, shell, task
from tests.engines.docker import DockerEngine, own_engine
from tests.engines.registry import Registry, registry_in
from uwsd.backends.base import Handle, State
from uwsd.backends.docker import images
from uwsd.backends.docker.backend import DockerBackend

jobs = BackendContract()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry_in(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture
def image(own_docker: DockerEngine, registry: Registry) -> Iterator[str]:
    """An image in the registry, and not on the engine; by its digest."""
    digest = registry.push(own_docker, own_docker.image, "uwsd/small", "1")
    image = f"{registry.host}/uwsd/small@{digest}"
    yield image
    _remove(own_docker, image)


@pytest.fixture
def make(own_docker: DockerEngine, tmp_path: Path) -> Iterator[Callable[..., DockerBackend]]:
    root = tmp_path / "jobs"
    yield lambda **options: own_docker.backend(root, **options)
    backend = own_docker.backend(root)
    for workspace in root.iterdir():
        if not workspace.name.startswith("."):
            backend.release(Handle(workspace.name))


Make = Callable[..., DockerBackend]


def _remove(engine: DockerEngine, image: str) -> None:
    with engine.client() as client:
        if client.images(name=image.partition("@")[0]):
            client.remove_image(image, force=True)


def test_an_image_is_pulled_by_its_digest_when_it_is_missing(
    make: Make, own_docker: DockerEngine, image: str
) -> None:
    backend = make()
    handles = [backend.submit(shell("echo x", image=image)) for _ in range(3)]
    reports = jobs.wait_all(backend, handles)
    assert {report.state for report in reports.values()} == {State.DONE}
    assert reports[handles[0]].facts["image"] == image


def test_a_job_that_waits_for_its_image_is_told_how_far_it_is(
    make: Make, own_docker: DockerEngine, registry: Registry
) -> None:
    image = f"{registry.host}/uwsd/large:1"
    _build(own_docker, "uwsd-made:1", os.urandom(60_000_000))
    registry.push(own_docker, "uwsd-made:1", "uwsd/large", "1")
    _remove(own_docker, "uwsd-made:1")
    backend = make()
    handle = backend.submit(task("true", image=image))
    said = set()
    while not (report := backend.poll([handle])[handle]).state.is_over:
        said.add(report.message)
    assert report.state is State.DONE
    percents = {line.removeprefix(f"pulling image {image}, ") for line in said if image in line}
    assert percents - {"0 %", "100 %"}, said
    _remove(own_docker, image)


def test_what_waits_for_an_image_does_so_again_after_a_restart_of_uwsd(
    make: Make, own_docker: DockerEngine, registry: Registry, image: str
) -> None:
    with registry.daemons.frozen("registry"):
        handle = make().submit(shell("echo run >>runs", image=image))
        second = make()
        jobs.wait_for(lambda: "pulling" in second.poll([handle])[handle].message)
    assert jobs.wait(make(), handle).state is State.DONE


@pytest.mark.parametrize(
    ("name", "words"),
    [("{host}/uwsd/small:none", "not found"), ("{host}/uwsd/nowhere", "not found")],
)
def test_an_image_that_is_not_there_is_a_clear_failure(
    make: Make, registry: Registry, image: str, name: str, words: str
) -> None:
    backend = make()
    name = name.format(host=registry.host)
    report = jobs.wait(backend, backend.submit(task("true", image=name)))
    assert (report.state, report.transient) == (State.FAILED, False)
    assert report.message.startswith(f"the image {name} cannot be pulled: the engine says: ")
    assert words in report.message


def test_a_registry_that_does_not_answer_is_asked_again_and_given_up_at_last(
    make: Make, registry: Registry, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_PAUSES", (1.0, 0.1, 0.1, 0.0))
    backend = make()
    registry.daemons.kill("registry")
    try:
        handle = backend.submit(task("true", image=image))
        jobs.wait_for(lambda: "the last try failed" in backend.poll([handle])[handle].message)
        report = jobs.wait(backend, handle)
    finally:
        registry.daemons.restart("registry")
    assert (report.state, report.transient) == (State.FAILED, True)
    assert "connection refused" in report.message
    assert jobs.wait(backend, backend.submit(task("true", image=image))).state is State.DONE


def test_a_pull_goes_on_after_the_engine_was_killed(
    make: Make, own_docker: DockerEngine, registry: Registry, image: str
) -> None:
    backend = make()
    with registry.daemons.frozen("registry"):
        handle = backend.submit(task("true", image=image))
        jobs.wait_for(lambda: "pulling" in backend.poll([handle])[handle].message)
        own_docker.kill()
        own_docker.restart()
    assert jobs.wait(backend, handle).state is State.DONE


def test_an_engine_that_is_to_pull_nothing_pulls_nothing(make: Make, image: str) -> None:
    backend = make(pull="never")
    report = jobs.wait(backend, backend.submit(task("true", image=image)))
    assert report.state is State.FAILED
    assert report.message == f"the engine does not have the image {image}, and pulls none"


@pytest.mark.parametrize(("pull", "seen"), [("always", "2"), ("missing", "1")])
def test_a_tag_that_moves_is_followed_where_that_is_asked(
    make: Make, own_docker: DockerEngine, registry: Registry, pull: str, seen: str
) -> None:
    name = f"uwsd/moving-{pull}"
    image = f"{registry.host}/{name}:1"
    for number in ("1", "2"):
        _build(own_docker, "uwsd-made:1", number.encode())
        registry.push(own_docker, "uwsd-made:1", name, number)
    backend = make(pull=pull)
    command = ("grep", "1", "/made")
    assert jobs.wait(backend, backend.submit(task(*command, image=image))).state is State.DONE
    registry.move(name, "1", to="2")
    command = ("grep", seen, "/made")
    assert jobs.wait(backend, backend.submit(task(*command, image=image))).state is State.DONE


def _build(engine: DockerEngine, name: str, content: bytes) -> None:
    """Make an image of the small one and a file with some content."""
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as archive:
        for member, text in {
            "Dockerfile": f"FROM {engine.image}\nCOPY made /made\n".encode(),
            "made": content,
        }.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    files.seek(0)
    with engine.client() as client:
        said = list(client.build(fileobj=files, custom_context=True, tag=name, decode=True))
        assert client.images(name=name), said


# GPUs


def test_each_gpu_is_for_one_job_at_a_time(tmp_path: Path) -> None:
    """The engine's own bookkeeping of GPUs is real; the driver's program is a stand-in."""
    hook = tmp_path / "bin/nvidia-container-runtime-hook"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    with own_engine(path=[hook.parent]) as engine:
        backend = engine.backend(tmp_path / "jobs", gpus=["0", "7"])
        show = "echo $NVIDIA_VISIBLE_DEVICES; while ! [ -e ../inputs/go ]; do sleep 0.05; done"
        first, second, both, none = (
            backend.submit(shell(show, gpus=number)) for number in (1, 1, 2, 0)
        )
        jobs.wait_for(lambda: backend.poll([none])[none].state is State.RUNNING)
        jobs.wait_for(lambda: backend.poll([second])[second].state is State.RUNNING)
        report = engine.backend(tmp_path / "jobs", gpus=["0", "7"]).poll([both])[both]
        assert (report.state, report.message) == (State.WAITING, "it waits for 2 of 2 GPUs")
        for handle in (first, second, both, none):
            (tmp_path / "jobs" / handle / "inputs/go").touch()
        jobs.wait_all(backend, [first, second, both, none])
        logs = [tmp_path / "jobs" / job / "logs/stdout" for job in (first, second, both, none)]
        assert [log.read_text() for log in logs] == ["0\n", "7\n", "0,7\n", "\n"]
