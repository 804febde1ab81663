"""The worker by itself: started as a program, on a workspace that was laid out by hand."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

import uwsd.worker
from uwsd.worker.records import Exit, Order, Records

WORKER = Path(uwsd.worker.__file__).parent
ORDER = Order(
    command=["sh", "-c", "cat ../inputs/* >all"],
    environment={"PATH": "/usr/bin:/bin"},
    fetch=[],
    duration=0,
    memory=0,
    grace=0.3,
)
SLEEP = ["sleep", "60"]


@pytest.fixture
def job(tmp_path: Path) -> Records:
    workspace = tmp_path / "job"
    for name in ("inputs", "outputs", "logs", "run"):
        (workspace / name).mkdir(parents=True)
    (workspace / "inputs/a").write_text("input")
    return Records(workspace)


@contextmanager
def started(job: Records, worker: Path = WORKER) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker, and see that it ends."""
    command = [sys.executable, "-I", "-S", str(worker), str(job.workspace)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        yield process
        process.wait(20)


def finished(job: Records, order: Order) -> Exit:
    """Run a job to its end."""
    job.write_order(order)
    with started(job) as process:
        pass
    ending = job.exit()
    assert process.returncode == 0
    assert ending
    return ending


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def test_the_folder_alone_is_enough(job: Records, tmp_path: Path) -> None:
    elsewhere = shutil.copytree(WORKER, tmp_path / "elsewhere")
    job.write_order(ORDER)
    with started(job, elsewhere):
        pass
    ending = job.exit()
    assert ending
    assert (ending.why, ending.code) == ("exit", 0)
    assert (job.workspace / "outputs/all").read_text() == "input"


def test_it_starts_as_a_module_of_uwsd_too(job: Records) -> None:
    job.write_order(ORDER)
    root = WORKER.parent.parent
    subprocess.run([sys.executable, "-m", "uwsd.worker", job.workspace], cwd=root, check=True)
    assert (job.workspace / "outputs/all").read_text() == "input"


def test_of_many_workers_one_runs_the_job(job: Records) -> None:
    job.write_order(ORDER._replace(command=["sh", "-c", "echo run >>runs; sleep 0.3"]))
    command = [sys.executable, "-I", "-S", str(WORKER), str(job.workspace)]
    workers = [subprocess.Popen(command) for _ in range(6)]
    assert sorted(worker.wait(20) for worker in workers) == [0, 75, 75, 75, 75, 75]
    assert (job.workspace / "outputs/runs").read_text() == "run\n"


def test_a_workspace_without_a_task_is_left_alone(job: Records) -> None:
    with started(job) as process:
        pass
    assert process.returncode == 75
    assert job.start() is None


@pytest.mark.parametrize(("wished", "why"), [(True, "cancel"), (False, "stop")])
def test_why_it_was_stopped_is_told(job: Records, wished: bool, why: str) -> None:
    job.write_order(ORDER._replace(command=["sh", "-c", "touch begun; exec sleep 60"]))
    with started(job) as process:
        wait_for(job.workspace / "outputs/begun")
        if wished:
            job.cancel_file.touch()
        process.terminate()
    ending = job.exit()
    assert ending
    assert ending.why == why


def test_a_program_has_time_to_tidy_up(job: Records) -> None:
    script = "trap 'sleep 0.1; touch tidy; exit 9' TERM; touch begun; while :; do sleep 0.02; done"
    job.write_order(ORDER._replace(command=["sh", "-c", script], grace=20))
    with started(job) as process:
        wait_for(job.workspace / "outputs/begun")
        process.terminate()
    ending = job.exit()
    assert ending
    assert (ending.why, ending.code) == ("stop", 9)
    assert (job.workspace / "outputs/tidy").exists()


def test_a_limit_without_a_control_group_makes_allocation_fail() -> None:
    script = (
        "from uwsd.worker.memory import Limit\n"
        "Limit(200 << 20).join(); bytearray(100 << 20)\n"
        "try: bytearray(300 << 20)\n"
        "except MemoryError: print('refused')"
    )
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, cwd=WORKER.parent.parent, check=True)
    assert answer.stdout == b"refused\n"


class Site(BaseHTTPRequestHandler):
    """A site that has ``/data``, and ``/slow``, which never comes to an end."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path in {"/data", "/slow"} else 404)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"data" if self.path == "/data" else b"d")
        while self.path == "/slow" and not self.server.over:  # type: ignore[attr-defined]
            time.sleep(0.02)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.over = False  # type: ignore[attr-defined]
        thread = Thread(target=partial(server.serve_forever, 0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.over = True  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def fetching(url: str, **more: object) -> Order:
    item = {"url": url, "path": "inputs/b", "max_bytes": 1000, "timeout": 10.0}
    choices = {"schemes": ["http"], "private_addresses": True}
    return ORDER._replace(fetch=[{**item, **choices, **more}])


def test_inputs_are_fetched_before_the_command_starts(job: Records, site: str) -> None:
    ending = finished(job, fetching(f"{site}/data"))
    assert (ending.why, ending.code, ending.message) == ("exit", 0, "")
    assert (job.workspace / "outputs/all").read_text() == "inputdata"


@pytest.mark.parametrize(
    "more", [{"private_addresses": False}, {"max_bytes": 1}, {"schemes": ["https"]}], ids=str
)
def test_a_job_whose_input_is_refused_never_starts(
    job: Records, site: str, more: dict[str, object]
) -> None:
    ending = finished(job, fetching(f"{site}/data", **more))
    assert (ending.why, ending.code, ending.signal) == ("fetch", None, None)
    assert ending.message
    assert not (job.workspace / "outputs/all").exists()


def test_fetching_counts_as_the_time_of_the_job(job: Records, site: str) -> None:
    ending = finished(job, fetching(f"{site}/slow")._replace(duration=1))
    assert ending.why == "duration"
    assert not (job.workspace / "outputs/all").exists()


def test_fetching_can_be_stopped(job: Records, site: str) -> None:
    job.write_order(fetching(f"{site}/slow"))
    with started(job) as process:
        wait_for(job.folder / "command.json")
        process.terminate()
    ending = job.exit()
    assert ending
    assert ending.why == "stop"
    assert not (job.workspace / "outputs/all").exists()
