"""Nodes beside the real one that only pretend to run pods, by kwok: thousands of Jobs cost little.

Jobs get there with the node selector and the tolerations of `OPTIONS`. Their pods run until
`finish` lets all of them end.
"""

import json
from collections.abc import Mapping
from typing import Any

from kubernetes import client

from tests.engines.daemons import wait_until
from tests.engines.kubernetes import Private, is_node_ready

_MARK = "kwok.x-k8s.io/node"
OPTIONS: Mapping[str, Any] = {
    "node_selector": {_MARK: "fake"},
    "tolerations": [{"key": _MARK, "operator": "Exists"}],
}

_RUNNING = """
{{ $now := Now }}
conditions:
- {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName false (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "") | Quote }}
phase: Running
startTime: {{ $now | Quote }}
"""


def start(engine: Private, nodes: int, pods: int) -> None:
    """Start kwok, with so many nodes that take so many pods each."""
    stages = engine.places.folder / "stages.yaml"
    stages.write_text("---\n".join(map(json.dumps, _stages())), encoding="ascii")
    core = client.CoreV1Api(engine.api)
    for number in range(nodes):
        core.create_node(_node(f"fake{number}", pods))

    def is_up() -> bool:
        return all(is_node_ready(engine, f"fake{number}") for number in range(nodes))

    engine.daemons.start("kwok", *_command(engine), f"--config={stages}", ready=is_up)


def finish(engine: Private) -> None:
    """Let all that runs there end well, and whatever comes later at once."""
    engine.daemons.stop("kwok")
    engine.daemons.start("kwok", *_command(engine), ready=lambda: True)


def stop(engine: Private) -> None:
    """Remove the nodes."""
    engine.daemons.stop("kwok")
    core = client.CoreV1Api(engine.api)
    for node in core.list_node(label_selector=_MARK).items:
        core.delete_node(node.metadata.name)
    wait_until(lambda: not core.list_node(label_selector=_MARK).items, 20, "nodes are left")


def _command(engine: Private) -> tuple[str, ...]:
    return (
        engine.program("kwok"),
        f"--kubeconfig={engine.kubeconfig}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={_MARK}=fake",
        "--node-ip=127.0.0.1",
    )


def _node(name: str, pods: int) -> Mapping[str, Any]:
    room = {"cpu": "1000", "memory": "1Ti", "pods": f"{pods}"}
    mark = {_MARK: "fake"}
    return {
        "metadata": {"name": name, "annotations": mark, "labels": mark},
        "spec": {"taints": [{"key": _MARK, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"allocatable": room, "capacity": room},
    }


def _stages() -> list[Mapping[str, Any]]:
    absent, there = {"operator": "DoesNotExist"}, {"operator": "Exists"}
    leaving = ".metadata.deletionTimestamp"
    return [
        _stage(
            "pod-ready",
            [{"key": leaving, **absent}, {"key": ".status.podIP", **absent}],
            {"statusTemplate": _RUNNING},
        ),
        _stage(
            "pod-delete",
            [{"key": leaving, **there}],
            {"finalizers": {"empty": True}, "delete": True},
        ),
    ]


def _stage(name: str, match: list[Mapping[str, str]], then: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": match},
            "next": then,
        },
    }
