"""Jobs on Kubernetes without a shared volume: real pods bring their files from a real server."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.engines.kubernetes import Private
from tests.engines.kubernetes_files import PYTHON, python_layer
from tests.serving import Server, finished, wait_until
from uwsd.backends import ticket

COMMANDS = {
    "works": "cat $1 >copy; mkdir deep; echo x >'deep/a b'; ln -s copy link; echo done; exit $2",
    "slow": "echo early; echo 0.5 half >../progress; sleep 600",
    "greedy": "echo early; head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null",
    "closing": "exec 1>&- 2>&- 3>&- 9>&-; sleep 2; echo late >late",
    "large": "head -c 3000000 /dev/zero; head -c 5000000 /dev/zero >zeros",
}


@pytest.fixture(scope="module")
def staged(
    private_kubernetes: Private, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that pods can reach, and that shares nothing else with them."""
    engine, folder = private_kubernetes, tmp_path_factory.mktemp("staged")
    engine.import_image(PYTHON, python_layer())
    host = engine.places.node_address
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    url = f"http://{host}:{port}"
    kept = ("type", "kubeconfig", "namespace", "image", "image_pull_policy")
    backend: dict[str, Any] = {name: engine.options[name] for name in kept}
    backend |= {"staging_image": PYTHON, "server_url": url, "grace": 3}
    lines = ["[backends.cluster]", *(f"{n} = {json.dumps(v)}" for n, v in backend.items())]
    for name, script in COMMANDS.items():
        lines += [
            f"[services.{name}]",
            'backend = "cluster"',
            "anonymous = true",
            f'command = ["sh", "-c", {json.dumps(script)}, "sh", "{{FILE}}", "{{EXIT}}"]',
            'environment = {PATH = "/bin:/usr/bin"}',
            'parameters.FILE = {type = "file"}',
            'parameters.EXIT = {type = "integer", default = 0}',
            "limits.memory = 100000000",
        ]
    config = folder / "uwsd.toml"
    config.write_text("\n".join(lines))
    environment = {
        "UWSD_SERVER__HOST": host,
        "UWSD_SERVER__BASE_URL": url,
        "UWSD_PORT": str(port),
        "UWSD_AUTH__ANONYMOUS": "true",
    }
    server = Server(folder / "data", config, **environment).start()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log


def run(server: Server, service: str, **form: str) -> str:
    files = {"FILE": ("f", form.pop("FILE"))} if "FILE" in form else None
    form["PHASE"] = "RUN"
    made = requests.post(f"{server.url}/{service}/async", data=form, files=files, timeout=60)
    assert made.ok, made.text
    return made.url


def workspace(server: Server, job: str) -> Path:
    return server.data / "jobs" / job.rpartition("/")[2]


def test_inputs_get_there_and_results_come_back(staged: Server) -> None:
    job = run(staged, "works", FILE="content")
    assert finished(job) == "COMPLETED", requests.get(job, timeout=60).text
    outputs = workspace(staged, job) / "outputs"
    assert (outputs / "copy").read_text() == "content"
    assert (outputs / "deep/a b").read_text() == "x\n"
    assert not (outputs / "link").exists()
    assert requests.get(f"{job}/results/stdout", timeout=60).text == "done\n"
    assert not (workspace(staged, job) / "run").exists(), "its ticket outlives it"


def test_a_failure_is_told_truly_and_its_files_come_back(staged: Server) -> None:
    job = run(staged, "works", FILE="content", EXIT="3")
    assert finished(job) == "ERROR"
    assert "exit status 3" in requests.get(f"{job}/error", timeout=60).text
    assert (workspace(staged, job) / "outputs/copy").read_text() == "content"


def test_logs_and_progress_come_while_the_job_runs_and_an_abort_keeps_them(staged: Server) -> None:
    job = run(staged, "slow")
    wait_until(lambda: requests.get(f"{job}/results/stdout", timeout=60).text == "early\n", 60)
    wait_until(lambda: ">0.5<" in requests.get(job, timeout=60).text, 60)
    requests.post(f"{job}/phase", data={"PHASE": "ABORT"}, timeout=60)
    assert finished(job) == "ABORTED"
    assert requests.get(f"{job}/results/stdout", timeout=60).text == "early\n"
    wait_until(lambda: not (workspace(staged, job) / "run").exists(), 60)


def test_the_logs_of_a_job_that_was_too_large_come_back(staged: Server) -> None:
    job = run(staged, "greedy")
    assert finished(job) == "ABORTED"
    assert "memory" in requests.get(f"{job}/error", timeout=60).text
    assert requests.get(f"{job}/results/stdout", timeout=60).text == "early\n"


def test_a_job_that_closes_all_it_has_is_waited_for(staged: Server) -> None:
    job = run(staged, "closing")
    assert finished(job) == "COMPLETED", requests.get(job, timeout=60).text
    assert (workspace(staged, job) / "outputs/late").read_text() == "late\n"


def test_large_files_come_back_whole_although_the_server_was_away(staged: Server) -> None:
    job = run(staged, "large")
    staged.kill()
    staged.start()
    assert finished(job) == "COMPLETED", requests.get(job, timeout=60).text
    assert len(requests.get(f"{job}/results/stdout", timeout=60).content) == 3_000_000
    assert (workspace(staged, job) / "outputs/zeros").stat().st_size == 5_000_000


# What a job can do with its ticket, and others without


@pytest.fixture
def pending(server: Server, demo: str) -> Iterator[tuple[str, Path, dict[str, str]]]:
    """A job of any server, its workspace, and its ticket."""
    job = requests.post(demo, data={"TEXT": "x"}, timeout=60).url
    folder = workspace(server, job)
    (folder / "inputs/deep").mkdir(parents=True, exist_ok=True)
    (folder / "inputs/deep/a b").write_text("input")
    for name in ("outputs", "logs"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "logs/stdout").write_text("secret")
    url = f"{server.url}/jobs/{job.rpartition('/')[2]}/stage"
    yield url, folder, {ticket.HEADER: ticket.issue(folder, 1000)}
    requests.delete(job, timeout=60)


def test_a_ticket_gives_the_inputs_and_takes_results(
    pending: tuple[str, Path, dict[str, str]],
) -> None:
    url, folder, shown = pending
    assert requests.get(f"{url}/inputs", headers=shown, timeout=60).json() == ["inputs/deep/a b"]
    got = requests.get(f"{url}/inputs/inputs/deep/a b", headers=shown, timeout=60)
    assert got.text == "input"
    for text in ("first", "second"):  # it may come twice
        put = requests.put(f"{url}/outputs/x/%C3%A9", text, headers=shown, timeout=60)
        assert put.status_code == 204
    assert (folder / "outputs/x/é").read_text() == "second"
    for offset, text in ((0, "one"), (3, "two"), (3, "two")):
        where = {"offset": str(offset)}
        put = requests.put(f"{url}/logs/stderr", text, params=where, headers=shown, timeout=60)
        assert put.status_code == 204
    assert (folder / "logs/stderr").read_text() == "onetwo"
    assert requests.put(f"{url}/progress", "0.5", headers=shown, timeout=60).ok
    assert (folder / "progress").read_text() == "0.5"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "inputs/logs/stdout", 404),
        ("GET", "inputs/run/ticket.json", 404),
        ("GET", "inputs/inputs/../run/ticket.json", 404),
        ("PUT", "outputs/%2e%2e/run/ticket.json", 400),
        ("PUT", "outputs/a/%2E%2E/%2E%2E/b", 400),
        ("PUT", "outputs/%00", 400),
        ("PUT", f"outputs/{'x' * 256}", 400),
        ("PUT", f"outputs/{'x/' * 600}x", 400),
        ("PUT", "logs/other?offset=0", 404),
        ("PUT", "logs/stdout", 404),
        ("PUT", "logs/stdout?offset=-1", 404),
        ("PUT", "logs/stdout?offset=7", 403),
        ("PUT", "inputs/inputs/x", 405),
        ("DELETE", "outputs/x", 405),
    ],
)
def test_a_ticket_is_good_for_nothing_else(
    pending: tuple[str, Path, dict[str, str]], method: str, path: str, status: int
) -> None:
    url, folder, shown = pending
    before = snapshot(folder)
    # As it is written: a client would tidy the path.
    request = requests.Request(method, url, data=b"x" if method == "PUT" else b"", headers=shown)
    prepared = request.prepare()
    prepared.url = f"{url}/{path}"
    with requests.Session() as session:
        answer = session.send(prepared, timeout=60)
    assert answer.status_code == status, answer.text
    assert snapshot(folder) == before


def test_there_is_an_end_to_what_a_ticket_brings(
    pending: tuple[str, Path, dict[str, str]],
) -> None:
    url, folder, shown = pending
    assert requests.put(f"{url}/outputs/a", "x" * 999, headers=shown, timeout=60).ok
    over = requests.put(f"{url}/outputs/b", "xx", headers=shown, timeout=60)
    assert over.status_code == 413
    chunked = requests.put(f"{url}/outputs/b", iter([b"x"]), headers=shown, timeout=60)
    assert chunked.status_code == 400
    assert not (folder / "outputs/b").exists()
    assert requests.put(f"{url}/outputs/a/b", "", headers=shown, timeout=60).status_code == 403


def test_nobody_comes_in_without_the_ticket_of_this_job(
    pending: tuple[str, Path, dict[str, str]], server: Server
) -> None:
    url, folder, shown = pending
    wrong: list[dict[str, str]] = [{}, {ticket.HEADER: "x"}, {ticket.HEADER: "\xe9"}]
    unknown = url.replace(folder.name, "00000000-0000-4000-8000-000000000000")
    for headers in wrong:
        assert requests.get(f"{url}/inputs", headers=headers, timeout=60).status_code == 403
        put = requests.put(f"{url}/outputs/x", "x", headers=headers, timeout=60)
        assert put.status_code == 403
    assert requests.get(f"{unknown}/inputs", headers=shown, timeout=60).status_code == 403
    ticket.revoke(folder)
    assert requests.get(f"{url}/inputs", headers=shown, timeout=60).status_code == 403
    assert not (folder / "outputs/x").exists()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "brought" and os.access(path, os.R_OK)
    }
