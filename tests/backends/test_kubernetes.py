"""The Kubernetes backend, with real pods on a real node."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from kubernetes import client

from tests.backends.contract import BEAT, PATH, BackendContract, NewBackend, shell, task
from tests.backends.kubernetes import Make, WithBackends, is_readable, is_released, options
from tests.engines.kubernetes import Given, Private
from tests.engines.kubernetes_files import BUSYBOX, write_layer
from uwsd.backends.base import BackendError, Fetch, Handle, State, TaskRefused
from uwsd.backends.kubernetes.driver import KubernetesBackend
from uwsd.backends.kubernetes.manifest import manifest
from uwsd.backends.names import key

ADDED = frozenset(
    (
        *("HOSTNAME", "HOME", "PWD", "OLDPWD", "SHLVL"),
        *("KUBERNETES_PORT", "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_ADDR"),
        *("KUBERNETES_PORT_443_TCP_PORT", "KUBERNETES_PORT_443_TCP_PROTO"),
        *("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"),
    )
)


class Web:
    """A web server on this machine that makes people wait."""

    def __init__(self) -> None:
        self.go = Event()
        go = self.go

        class Site(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/slow":
                    go.wait(60)
                self.send_response(404 if self.path == "/missing" else 200)
                self.send_header("Content-Length", "7")
                self.end_headers()
                self.wfile.write(b"content")

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
        Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    site = Web()
    yield site
    site.close()


class TestKubernetesBackend(WithBackends, BackendContract):
    """The contract, and what only Kubernetes can show."""

    patience = 60.0
    many = int(os.environ.get("UWSD_MANY", "30"))
    cuts = 4
    submitting = 0.15
    glimpse = 3  # a node looks at its containers each second
    engine_adds = ADDED

    @pytest.fixture
    def new_backend(self, make: Make) -> NewBackend:
        return make

    def wait_for_word(self, backend: KubernetesBackend, handle: Handle, *words: str) -> State:
        """Wait until the job's message has these words; return its state."""
        self.wait_for(lambda: all(w in backend.poll([handle])[handle].message for w in words))
        return backend.poll([handle])[handle].state

    def told(self, backend: KubernetesBackend, handle: Handle) -> tuple[State, str]:
        report = backend.poll([handle])[handle]
        return report.state, report.message

    def pod_of(self, core: client.CoreV1Api, namespace: str, name: str) -> Any:
        self.wait_for(
            lambda: core.list_namespaced_pod(namespace, label_selector=f"job-name={name}").items
        )
        return core.list_namespaced_pod(namespace, label_selector=f"job-name={name}").items[0]

    # What the cluster sees

    def test_a_job_carries_its_names(
        self, make: Make, workspaces: Path, batch: client.BatchV1Api, namespace: str
    ) -> None:
        backend = make(labels={"site": "x"}, annotations={"note": "y"})
        quiet = backend.submit(shell("sleep 60", service="survey"))
        loud = backend.submit(shell("true", network=True))
        job = batch.read_namespaced_job(key(workspaces, quiet), namespace)
        labels, pod = job.metadata.labels, job.spec.template.metadata.labels
        assert labels["app.kubernetes.io/managed-by"] == "uwsd"
        assert (labels["uwsd.service"], labels["site"]) == ("survey", "x")
        assert job.metadata.annotations["uwsd.job-id"] == quiet
        assert job.metadata.annotations["note"] == "y"
        assert pod["uwsd.network"] == "none"
        other = batch.read_namespaced_job(key(workspaces, loud), namespace)
        assert "uwsd.network" not in other.spec.template.metadata.labels

    def test_limits_and_requests_are_the_tasks(
        self, make: Make, workspaces: Path, batch: client.BatchV1Api, namespace: str
    ) -> None:
        backend = make(gpu_resource="example.org/gpu", queue="astro")
        handle = backend.submit(task("true", memory=10**8, cpus=0.25, gpus=2, duration=77))
        job = batch.read_namespaced_job(key(workspaces, handle), namespace)
        (container,) = job.spec.template.spec.containers
        assert container.resources.limits == {"memory": "100M", "example.org/gpu": "2"}
        assert container.resources.requests == {**container.resources.limits, "cpu": "250m"}
        assert job.spec.template.spec.active_deadline_seconds == 77 + 3600
        assert job.spec.ttl_seconds_after_finished >= 86400
        assert job.metadata.labels["kueue.x-k8s.io/queue-name"] == "astro"

    # Waiting

    def test_a_job_that_fits_on_no_node_waits_and_says_so(self, make: Make) -> None:
        backend = make(node_selector={"example.org/none": "x"}, give_up=0)
        handle = backend.submit(task("true"))
        assert self.wait_for_word(backend, handle, "nodes are available") is State.WAITING
        assert not backend.poll([handle])[handle].facts.get("node")

    def test_a_job_over_the_quota_of_pods_waits_its_turn(
        self, make: Make, core: client.CoreV1Api, namespace: str
    ) -> None:
        backend = make(give_up=0)
        with quota(core, namespace, {"pods": "0"}):
            handle = backend.submit(task("true"))
            assert self.wait_for_word(backend, handle, "exceeded quota") is State.WAITING
        assert self.wait(backend, handle).state is State.DONE

    def test_a_job_over_the_quota_of_jobs_is_handed_over_later(
        self, make: Make, core: client.CoreV1Api, namespace: str
    ) -> None:
        backend, later = make(), task("true")
        with quota(core, namespace, {"count/jobs.batch": "0"}):
            with pytest.raises(BackendError, match="exceeded quota") as caught:
                backend.submit(later)
            assert not isinstance(caught.value, TaskRefused)
            assert backend.find(later.job_id) is None
        assert self.wait(backend, backend.submit(later)).state is State.DONE

    def test_a_suspended_job_is_held_until_somebody_resumes_it(
        self, make: Make, workspaces: Path, batch: client.BatchV1Api, namespace: str
    ) -> None:
        backend = make(node_selector={"example.org/none": "x"})
        handle = backend.submit(task("true"))
        name = key(workspaces, handle)
        batch.patch_namespaced_job(name, namespace, {"spec": {"suspend": True}})
        assert self.wait_for_word(backend, handle, "suspended") is State.HELD
        backend.cancel(handle)
        assert self.wait(backend, handle).state is State.CANCELLED

    def test_a_job_in_a_queue_starts_when_the_queue_says_so(
        self, make: Make, workspaces: Path, batch: client.BatchV1Api, namespace: str
    ) -> None:
        backend = make(queue="astro")
        handle = backend.submit(task("true"))
        assert self.wait_for_word(backend, handle, "queue astro") is State.WAITING
        patch = {"spec": {"suspend": False}}  # as Kueue does
        batch.patch_namespaced_job(key(workspaces, handle), namespace, patch)
        assert self.wait(backend, handle).state is State.DONE

    # What can never start

    def test_a_pod_that_is_not_allowed_is_given_up(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = manifest

        def careless(*arguments: Any) -> Mapping[str, Any]:
            body = json.loads(json.dumps(real(*arguments)))
            del body["spec"]["template"]["spec"]["containers"][0]["securityContext"]
            return dict(body)

        monkeypatch.setattr("uwsd.backends.kubernetes.driver.manifest", careless)
        backend = make(give_up=3)
        handle = backend.submit(task("true"))
        assert self.wait_for_word(backend, handle, "violates PodSecurity") is State.WAITING
        report = self.wait(backend, handle)
        assert report.state is State.FAILED
        assert "violates PodSecurity" in report.message
        assert self.told(make(), handle) == (report.state, report.message)

    def test_an_image_that_cannot_be_pulled_is_given_up_after_a_while(self, make: Make) -> None:
        backend = make(give_up=2, image_pull_policy="IfNotPresent")
        handle = backend.submit(task("true", image="127.0.0.1:9/nobody/there:1"))
        assert self.wait_for_word(backend, handle, "127.0.0.1:9/nobody/there:1") is State.WAITING
        report = self.wait(backend, handle)
        assert (report.state, report.exit_code) == (State.FAILED, None)
        assert "127.0.0.1:9/nobody/there:1" in report.message
        assert self.told(make(), handle) == (report.state, report.message)

    @pytest.mark.parametrize(
        ("image", "policy", "word"),
        [
            ("No Such//Image!", "IfNotPresent", "InvalidImageName"),
            ("uwsd.test/absent:1", "Never", "ErrImageNeverPull"),
        ],
    )
    def test_an_image_that_can_never_be_had_fails_the_job_at_once(
        self, make: Make, image: str, policy: str, word: str
    ) -> None:
        backend = make(give_up=86400, image_pull_policy=policy)
        report = self.wait(backend, handle := backend.submit(task("true", image=image)))
        assert report.state is State.FAILED
        assert word in report.message
        assert self.told(make(), handle) == (report.state, report.message)

    def test_an_image_without_a_shell_is_told(
        self, make: Make, private_kubernetes: Private
    ) -> None:
        private_kubernetes.import_image("uwsd.test/empty:1", write_layer({"etc/x": b""}))
        backend = make()
        report = self.wait(backend, backend.submit(task("true", image="uwsd.test/empty:1")))
        assert report.state is State.FAILED
        assert "/bin/sh" in report.message

    @pytest.mark.parametrize(
        "wrong",
        [
            {"image": ""},
            {"command": ("true", "caf\udce9")},
            {"environment": {"X": "caf\udce9"}},
            {"command": ("true", *["x" * 100_000] * 11)},
            {"service": "no label, this"},
            {"memory": -1},
        ],
        ids=["image", "argument", "value", "size", "label", "memory"],
    )
    def test_what_kubernetes_would_never_take_is_refused(
        self, make: Make, wrong: dict[str, object]
    ) -> None:
        backend = make(image="" if "image" in wrong else BUSYBOX)
        impossible = replace(task("true"), **wrong)  # type: ignore[arg-type]
        with pytest.raises(TaskRefused):
            backend.submit(impossible)
        assert backend.find(impossible.job_id) is None

    # What others do to our jobs

    def test_an_eviction_is_a_passing_failure(
        self, make: Make, workspaces: Path, core: client.CoreV1Api, namespace: str
    ) -> None:
        backend = make()
        handle = backend.submit(shell(BEAT))
        beat = self.wait_for_beat(workspaces, handle)
        name = self.pod_of(core, namespace, key(workspaces, handle)).metadata.name
        body = {"metadata": {"name": name}}
        core.create_namespaced_pod_eviction(name, namespace, body)
        report = self.wait(backend, handle)
        assert (report.state, report.transient) == (State.FAILED, True)
        assert "its node was cleared" in report.message
        self.assert_still(beat)

    def test_a_pod_that_somebody_deletes_is_a_passing_failure(
        self, make: Make, workspaces: Path, core: client.CoreV1Api, namespace: str
    ) -> None:
        backend = make()
        handle = backend.submit(shell(f"echo run >>runs; {BEAT}"))
        beat = self.wait_for_beat(workspaces, handle)
        pod = self.pod_of(core, namespace, key(workspaces, handle))
        core.delete_namespaced_pod(pod.metadata.name, namespace)
        report = self.wait(backend, handle)
        assert (report.state, report.transient) == (State.FAILED, True)
        assert "pod was deleted" in report.message
        self.assert_still(beat)
        assert (workspaces / handle / "outputs/runs").read_text() == "run\n"
        assert make().poll([handle])[handle].state is State.FAILED

    @pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
    def test_a_job_that_somebody_deletes_is_lost_and_its_pod_gone(
        self,
        make: Make,
        workspaces: Path,
        batch: client.BatchV1Api,
        namespace: str,
        policy: str,
    ) -> None:
        backend = make()
        handle = backend.submit(shell(f"trap '' TERM; {BEAT}"))
        beat = self.wait_for_beat(workspaces, handle)
        self.wait_for(lambda: backend.poll([handle])[handle].state is State.RUNNING)
        name = key(workspaces, handle)
        batch.delete_namespaced_job(name, namespace, propagation_policy=policy)
        assert self.wait(backend, handle).state is State.LOST
        self.assert_still(beat)

    def test_what_is_not_ours_is_left_alone(
        self,
        make: Make,
        workspaces: Path,
        tmp_path: Path,
        batch: client.BatchV1Api,
        engine: Private | Given,
    ) -> None:
        namespace = engine.options["namespace"]
        other = KubernetesBackend(tmp_path / "other", options(engine))
        theirs = other.submit(shell("sleep 60"))
        ours = task("true")
        name = key(workspaces, ours.job_id)
        copied = json.loads(
            batch.read_namespaced_job(
                key(tmp_path / "other", theirs), namespace, _preload_content=False
            ).data
        )
        kept = {n: copied["metadata"][n] for n in ("labels", "annotations")}
        for generated in ("labels", "creationTimestamp"):
            copied["spec"]["template"]["metadata"].pop(generated, None)
        copied["spec"].pop("selector")
        body = {"metadata": {"name": name, **kept}, "spec": {**copied["spec"], "suspend": True}}
        batch.create_namespaced_job(namespace, body)
        backend = make()
        try:
            with pytest.raises(BackendError, match="somebody else"):
                backend.submit(ours)
            assert backend.find(ours.job_id) is None
            for handle in (theirs, Handle(ours.job_id)):
                backend.cancel(handle)
                backend.release(handle)
                assert backend.poll([handle])[handle].state is State.LOST
            assert batch.read_namespaced_job(name, namespace).spec.suspend
            assert not other.poll([theirs])[theirs].state.is_over
        finally:
            batch.delete_namespaced_job(name, namespace, propagation_policy="Background")
            while not is_released(other, theirs):
                pass
            other.close()

    # Time and memory

    def test_a_job_may_be_given_more_time_and_less(self, make: Make, workspaces: Path) -> None:
        backend = make()
        more = backend.submit(shell("sleep 6", duration=3))
        less = backend.submit(shell(BEAT, duration=3600))
        self.wait_for_beat(workspaces, less)
        backend.poll([more, less])
        backend.amend(more, 60)
        backend.amend(less, 4)
        backend.amend(Handle("never-was"), 5)
        reports = self.wait_all(make(), [more, less])
        assert reports[more].state is State.DONE
        assert reports[less].state is State.EXCEEDED
        assert "4 s" in reports[less].message
        backend.amend(less, 5)

    def test_memory_that_only_a_child_wanted_is_too_much_all_the_same(self, make: Make) -> None:
        backend = make()
        hog = "head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null; exit 0"
        report = self.wait(backend, backend.submit(shell(hog, memory=100_000_000)))
        assert report.state is State.EXCEEDED
        assert "100000000 bytes" in report.message

    def test_a_new_instance_knows_that_a_job_was_cancelled(self, make: Make) -> None:
        backend = make()
        handle = backend.submit(shell("trap '' TERM; sleep 60"))
        self.wait_for(lambda: backend.poll([handle])[handle].state is State.RUNNING)
        backend.cancel(handle)
        assert self.wait(make(), handle).state is State.CANCELLED
        assert make().poll([handle])[handle].state is State.CANCELLED

    def test_nothing_of_the_server_or_the_cluster_is_in_a_pod(
        self, make: Make, workspaces: Path, tmp_path: Path
    ) -> None:
        backend = make()
        script = (
            "id -u; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status;"
            "ls /var/run/secrets 2>&1; touch /x 2>&1; touch /tmp/x && echo tmp; ls ../.."
        )
        handle = backend.submit(shell(script))
        self.wait(backend, handle)
        seen = (workspaces / handle / "logs/stdout").read_text()
        assert seen.startswith("65534\n" if os.geteuid() == 0 else f"{os.geteuid()}\n")
        assert "CapEff:\t0000000000000000" in seen
        assert "NoNewPrivs:\t1" in seen
        assert "Seccomp:\t2" in seen
        assert "/var/run/secrets: No such file" in seen
        assert "Read-only file system" in seen
        assert seen.endswith(f"tmp\n{handle}\n")

    # Inputs by URL

    def test_inputs_by_url_are_there_before_the_command_starts(
        self, make: Make, workspaces: Path, web: Web
    ) -> None:
        backend = make()
        handle = backend.submit(fetching("cat ../inputs/X; ! [ -e ../run ]", web.url("/slow")))
        assert self.wait_for_word(backend, handle, "fetched") is State.WAITING
        web.go.set()
        assert self.wait(backend, handle).state is State.DONE
        assert (workspaces / handle / "logs/stdout").read_text() == "content"

    def test_a_new_instance_goes_on_with_what_is_being_fetched(
        self, make: Make, workspaces: Path, web: Web
    ) -> None:
        handle = make().submit(once := fetching("cat ../inputs/X", web.url("/slow")))
        assert make().submit(once) == handle
        web.go.set()
        assert self.wait(make(), handle).state is State.DONE

    def test_inputs_that_cannot_be_fetched_fail_the_job(self, make: Make, web: Web) -> None:
        backend = make()
        handle = backend.submit(fetching("true", web.url("/missing")))
        report = self.wait(backend, handle)
        assert report.state is State.FAILED
        assert "cannot be fetched" in report.message
        assert make().poll([handle])[handle].state is State.FAILED

    def test_a_job_cancelled_while_its_inputs_are_fetched_never_starts(
        self, make: Make, workspaces: Path, web: Web
    ) -> None:
        backend = make()
        handle = backend.submit(fetching("touch started", web.url("/slow")))
        self.wait_for_word(backend, handle, "fetched")
        backend.cancel(handle)
        assert self.wait(backend, handle).state is State.CANCELLED
        web.go.set()
        assert not (workspaces / handle / "run").exists()

    # Being told

    def test_a_wakeup_comes_when_a_job_ends(self, make: Make, workspaces: Path) -> None:
        backend = make()
        go = "while ! [ -e ../inputs/go ]; do sleep 0.05; done"
        handle = backend.submit(shell(go))
        self.wait_for(lambda: backend.poll([handle])[handle].state is State.RUNNING)
        (wakeup,) = backend.wakeups()
        self.wait_for(lambda: not is_readable(wakeup, 1) or not backend.poll([handle]))
        (workspaces / handle / "inputs/go").touch()
        while not backend.poll([handle])[handle].state.is_over:
            assert is_readable(wakeup, self.patience)

    def test_many_questions_cost_the_cluster_none(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backend = make()
        handles = [backend.submit(shell("sleep 60")) for _ in range(3)]
        self.wait_for(lambda: {r.state for r in backend.poll(handles).values()} == {State.RUNNING})
        for asking in (backend._cluster, backend._cluster.mirror):
            monkeypatch.setattr(asking, "api", None)
        for _ in range(100):
            backend.poll(handles)


@contextmanager
def quota(core: client.CoreV1Api, namespace: str, hard: Mapping[str, str]) -> Iterator[None]:
    """Give the namespace no more than that, for as long as this lasts."""
    body = {"metadata": {"name": "tests"}, "spec": {"hard": dict(hard)}}
    core.create_namespaced_resource_quota(namespace, body)
    try:
        # It is not enforced before somebody has counted.
        deadline = time.monotonic() + 20
        while not core.read_namespaced_resource_quota("tests", namespace).status.hard:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        core.delete_namespaced_resource_quota("tests", namespace)


def fetching(script: str, url: str) -> Any:
    """Make a task that has an input by URL."""
    item = Fetch(url=url, path="inputs/X", max_bytes=100, timeout=30, private_addresses=True)
    return shell(script, fetch=(item,), environment=PATH)
