"""What the server calls things in the cluster."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "uwsd.instance"  #: label: the server whose job it is
SERVICE = "uwsd.service"  #: label
NETWORK = "uwsd.network"  #: label of pods: whom they may reach, ``none`` or the ``server`` alone
QUEUE = "kueue.x-k8s.io/queue-name"
JOB_ID = "uwsd.job-id"  #: annotation
DURATION = "uwsd.duration"  #: annotation: seconds the job may run; 0: no limit
STARTED = "uwsd.started"  #: annotation: when its container started, for when the pod is gone
FETCHING = "uwsd.fetching"  #: annotation: its inputs are not there yet; see `fetching`
ENDING = "uwsd.ending"  #: annotation: why the server ended it, as JSON; see `states`

CONTAINER = "job"
WORKSPACE = "workspace"
CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""What every container's security context has."""
