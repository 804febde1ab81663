"""What an administrator can choose about Kubernetes."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ByteSize, Field, model_validator

_NOBODY = 65534
_NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


def _own(number: int) -> int:
    return number or _NOBODY


class Options(BaseModel, extra="forbid"):
    """What an administrator can choose about Kubernetes."""

    kubeconfig: Path | None = Field(
        default=None,
        description="The kubeconfig of the server's account; by default the service account of the"
        " server's own pod, or else what KUBECONFIG or ~/.kube/config say.",
    )
    context: str = Field(default="", description="The context in it; by default its current one.")
    namespace: str = Field(
        default="",
        pattern=rf"{_NAME}|^$",
        description="The namespace of the jobs; by default the context's. For services or groups"
        " that have one of their own, make a backend for each.",
    )
    image: str = Field(default="", description="The image of tasks that name none.")
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = Field(
        default="", description="When images are pulled; by default Kubernetes' own rule."
    )
    image_pull_secrets: tuple[str, ...] = Field(
        default=(), description="Names of the secrets for registries that ask for a password."
    )
    claim: str = Field(
        default="", description="The PersistentVolumeClaim whose volume holds the data folder."
    )
    claim_mount: Path = Field(
        default=Path("/"), description="Where that volume is mounted on this server."
    )
    staging_image: str = Field(
        default="",
        description="Without a claim: an image with Python 3.8 or later, for the containers that"
        " bring inputs and results.",
    )
    server_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="Without a claim: the URL under which pods reach this server.",
    )
    scratch: ByteSize = Field(
        default=ByteSize(10 * 2**30),
        ge=1,
        description='Without a claim: how large a workspace may grow, such as "10 GiB", and how'
        " much may be brought back.",
    )
    run_as_user: int = Field(
        default_factory=lambda: _own(os.geteuid()),
        ge=1,
        description="The user that jobs run as, by number; by default the server's own, or nobody"
        " when it is root.",
    )
    run_as_group: int = Field(
        default_factory=lambda: _own(os.getegid()), ge=1, description="The group, likewise."
    )
    read_only_root: bool = Field(
        default=True,
        description="Whether jobs can write to nothing but their workspace and /tmp.",
    )
    gpu_resource: str = Field(
        default="nvidia.com/gpu", description="What the cluster calls the GPUs that jobs get."
    )
    node_selector: Mapping[str, str] = Field(
        default={}, description="Labels that the nodes of jobs must have."
    )
    tolerations: tuple[Mapping[str, Any], ...] = Field(
        default=(), description="Taints that jobs do not mind, each as in a pod's tolerations."
    )
    priority_class: str = Field(default="", description="The PriorityClass of jobs.")
    runtime_class: str = Field(default="", description="The RuntimeClass of jobs, such as gvisor.")
    queue: str = Field(
        default="",
        description="The LocalQueue of Kueue that jobs are to wait in; by default there is none.",
    )
    labels: Mapping[str, str] = Field(default={}, description="More labels for Jobs and pods.")
    annotations: Mapping[str, str] = Field(default={}, description="More annotations for them.")
    grace: int = Field(
        default=5, ge=1, description="Seconds between asking a job to end and killing it."
    )
    give_up: int = Field(
        default=600,
        ge=0,
        description="Seconds after which a job fails whose image cannot be pulled, or whose pod"
        " cannot be made. For free room and quota it waits on.",
    )
    max_wait: int = Field(
        default=30 * 86400, ge=60, description="Seconds that a job waits for a node at most."
    )
    leeway: int = Field(
        default=3600,
        ge=60,
        description="Seconds beyond a job's duration after which Kubernetes ends its pod even when"
        " uwsd is down. Pulling the image counts; no running job can be given more than that.",
    )
    keep: int = Field(
        default=7 * 86400,
        ge=86400,
        description="Seconds that Kubernetes keeps a Job that is over, so that a server that was"
        " down learns how it ended; uwsd removes it earlier.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if find_spec("kubernetes") is None:
            raise ValueError("its client is not installed; try `pip install uwsd[kubernetes]`")
        if bool(self.staging_image) != bool(self.server_url):
            raise ValueError("staging_image and server_url belong together")
        if self.claim and self.server_url:
            raise ValueError("with a claim, nothing is brought through server_url")
        return self
