"""The example of a site beside Kubernetes, as it stands, with the rights that it asks for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from kubernetes import client, config

from tests.engines.kubernetes import Private, make_claim
from tests.engines.kubernetes_files import busybox_layer
from tests.serving import Server, finished

SITE = Path(__file__).parents[2] / "examples/sites/kubernetes"
NAMESPACE = "uwsd-jobs"


@pytest.fixture
def kubeconfig(private_kubernetes: Private, tmp_path: Path) -> Iterator[Path]:
    """What the account of the example is given; the cluster has what it names."""
    engine = private_kubernetes
    for file in ("rbac.yaml", "networkpolicy.yaml"):
        engine.kubectl("apply", "-f", str(SITE / file))
    make_claim(engine, "uwsd-data", str(tmp_path), NAMESPACE)
    engine.import_image("docker.io/library/busybox:1.37", busybox_layer())
    token = engine.kubectl("-n", NAMESPACE, "create", "token", "uwsd").strip()
    yield engine.kubeconfig_of({"token": token}, "default")
    engine.kubectl("delete", "namespace", NAMESPACE)
    engine.kubectl("delete", "pv", "uwsd-data")


@pytest.fixture
def site(kubeconfig: Path, tmp_path: Path) -> Iterator[Server]:
    environment = {
        "UWSD_SERVER__BASE_URL": "",  # a name that only the example has
        "UWSD_BACKENDS__CLUSTER__KUBECONFIG": str(kubeconfig),
        "UWSD_BACKENDS__CLUSTER__CLAIM_MOUNT": str(tmp_path),
    }
    server = Server(tmp_path / "data", SITE / "uwsd.toml", **environment).start()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_the_example_works_as_it_stands(site: Server, kubeconfig: Path) -> None:
    files = {"FILE": ("poem", b"one two\nthree\n")}
    form = {"PHASE": "RUN"}
    made = requests.post(f"{site.url}/wordcount/async", data=form, files=files, timeout=60)
    assert finished(made.url) == "COMPLETED", requests.get(made.url, timeout=60).text
    out = requests.get(f"{made.url}/results/stdout", timeout=60).text
    assert out.split()[:3] == ["2", "3", "14"]
    available = requests.get(f"{site.url}/wordcount/availability", timeout=60).text
    assert "<vosi:available>true<" in available or ">true</" in available
    assert requests.delete(made.url, timeout=60).ok


def test_the_account_of_the_example_can_do_nothing_else(kubeconfig: Path) -> None:
    allowed = {
        ("batch", "jobs"): {"create", "get", "list", "watch", "patch", "delete"},
        ("", "pods"): {"list", "watch", "delete"},
        ("", "events"): {"list"},
        ("", "persistentvolumeclaims"): {"get"},
    }
    review = {"spec": {"namespace": NAMESPACE}}
    with config.new_client_from_config(str(kubeconfig)) as api:
        answer = client.AuthorizationV1Api(api).create_self_subject_rules_review(review)
        core, batch = client.CoreV1Api(api), client.BatchV1Api(api)
        found: dict[tuple[str, str], set[str]] = {}
        for rule in answer.status.resource_rules:
            for group in rule.api_groups:
                for resource in rule.resources:
                    found.setdefault((group, resource), set()).update(rule.verbs)
        own = {key for key in found if key[0] == "authorization.k8s.io" or "selfsubject" in key[1]}
        assert {key: verbs for key, verbs in found.items() if key not in own} == allowed
        for question in (
            lambda: core.list_namespaced_secret(NAMESPACE),
            lambda: core.list_namespaced_pod("kube-system"),
            batch.list_job_for_all_namespaces,
            lambda: core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": "x"}}),
            core.list_node,
        ):
            with pytest.raises(client.ApiException) as refused:
                question()
            assert refused.value.status == 403
