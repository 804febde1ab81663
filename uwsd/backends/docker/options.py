"""What an administrator can choose about a Docker backend."""

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ByteSize, Field

from uwsd.backends.base import Task
from uwsd.backends.docker.reference import is_reference

_NOBODY = 65534


def _check_image(image: str) -> str:
    if image and not is_reference(image):
        raise ValueError(f"{image!r} is not the name of an image, such as debian:12-slim")
    return image


def _user() -> str:
    return f"{os.getuid() or _NOBODY}:{os.getgid() or _NOBODY}"


class Options(BaseModel, extra="forbid"):
    """What an administrator can choose about a Docker backend."""

    url: str = Field(
        default="",
        description="Where the engine listens, such as unix:///run/podman/podman.sock; by default"
        " what DOCKER_HOST says, or Docker's usual socket.",
    )
    timeout: float = Field(
        default=30, gt=0, description="Seconds until an engine that says nothing is taken for dead."
    )
    slots: int = Field(
        default_factory=lambda: max(8, 2 * (os.cpu_count() or 1)),
        ge=1,
        description="How many containers run at one time; other jobs wait, first come, first"
        " served. Default: two for each processor, and at least 8.",
    )
    grace: float = Field(
        default=5.0,
        ge=0,
        description="Seconds between asking a job to end and killing it.",
    )
    image: Annotated[str, AfterValidator(_check_image)] = Field(
        default="", description="The image of services that name none."
    )
    allowed: tuple[str, ...] = Field(
        default=(),
        description='The images that services may name, such as ["registry.example.org/*"]; by'
        " default all.",
    )
    pull: Literal["missing", "always", "never"] = Field(
        default="missing",
        description='When an image is fetched: "missing", when the engine does not have it;'
        ' "always", before each job, for tags that move; or "never".',
    )
    user: str = Field(
        default_factory=_user,
        pattern=r"^\d+:\d+$",
        description="Who jobs run as, in numbers, such as 1000:1000. The server has to be root to"
        " let them run as somebody else. Default: the server's own user and group, or nobody when"
        " it is root.",
    )
    userns: str = Field(
        default="",
        description='The engine\'s user namespace, such as "host", or "keep-id" for Podman without'
        " root; by default the engine's choice.",
    )
    read_only: bool = Field(
        default=True,
        description="Whether an image's own files are out of a job's reach; its workspace and /tmp"
        " are not.",
    )
    tmp: ByteSize = Field(
        default=ByteSize(1024**3),
        ge=0,
        description="How much a job may keep in /tmp, from where it can start no program. It is"
        " memory, and counts as the job's.",
    )
    shm: ByteSize = Field(
        default=ByteSize(64 * 1024**2), gt=0, description="How much a job may keep in /dev/shm."
    )
    network: str = Field(
        default="bridge",
        description="The engine's network for services with network = true; others have none.",
    )
    memory: ByteSize = Field(
        default=ByteSize(0),
        ge=0,
        description="Memory of a job whose service sets no limit; 0: all there is.",
    )
    cpus: float = Field(
        default=0,
        ge=0,
        description="Processors of a job whose service sets no limit; 0: all there are.",
    )
    pids: int = Field(
        default=1024, ge=1, description="How many processes and threads a job may have."
    )
    gpus: tuple[str, ...] = Field(
        default=(),
        description='The GPUs for jobs that ask for some, each for one job at a time: ["0", "1"],'
        ' or names such as "nvidia.com/gpu=0" of the Container Device Interface.',
    )
    runtime: str = Field(
        default="", description="The engine's runtime, such as nvidia or runsc; default: its own."
    )

    def image_of(self, task: Task) -> str:
        """Return the image that a task runs in; empty if there is none."""
        return task.image or self.image
