"""What an administrator can choose about a Slurm cluster."""

import re
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, field_validator, model_validator

ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
"""What the name of an account looks like; nothing else is given to sudo."""

OF_THE_USER = "{user}"
"""``run_as`` of a cluster on which everybody's jobs run in their own account."""

PLACES = re.compile(r"\{(image|workspace|outputs)\}")
"""What is filled in into the words of ``wrap``."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Options(BaseModel, extra="forbid"):
    """What an administrator can choose about a Slurm cluster."""

    partition: str = Field(default="", description="The partition; empty: the cluster's default.")
    account: str = Field(default="", description="The account that is charged.")
    qos: str = Field(default="", description="The quality of service.")
    reservation: str = Field(default="", description="The reservation in which jobs run.")
    constraint: str = Field(default="", description="Features that the nodes must have.")
    licenses: str = Field(default="", description="Licenses that each job holds.")
    gpu: str = Field(
        default="--gpus={gpus}",
        description="How GPUs are asked for, such as `--gres=gpu:a100:{gpus}`.",
    )
    extra: tuple[str, ...] = Field(
        default=(), description="More arguments for sbatch; they come last and so they win."
    )
    requeue: bool = Field(
        default=False,
        description="Whether Slurm may begin a job again that was preempted, or whose node failed.",
    )
    python: str = Field(
        default="python3", description="The Python on the nodes, 3.9 or newer; no package is used."
    )
    path: str = Field(
        default="/usr/local/bin:/usr/bin:/bin",
        description="The PATH in which Slurm's commands, and on the nodes python, are looked for.",
    )
    conf: str = Field(
        default="", description="SLURM_CONF for Slurm's commands; empty: as the server has it."
    )
    via: tuple[str, ...] = Field(
        default=(),
        description='Words put before each of Slurm\'s commands, such as `["ssh", "login1"]`.',
    )
    via_shell: bool | None = Field(
        default=None,
        description="Whether what is behind `via` is read by a shell, so that each word has to be"
        " quoted; by default if it begins with ssh.",
    )
    run_as: str = Field(
        default="",
        description="The account that jobs run in, by `sudo -n -u`; `{user}`: that of whoever made"
        " the job; empty: the server's own.",
    )
    token_file: Path | None = Field(
        default=None,
        description="A file with a token (`scontrol token`), read before each command.",
    )
    wrap: tuple[str, ...] = Field(
        default=(),
        description="Words put before the command of a task with an image; `{image}`,"
        " `{workspace}` and `{outputs}` are filled in. Without, images are ignored.",
    )
    wrap_prefix: str = Field(
        default="APPTAINERENV_",
        description="With `wrap`, variables are given under names with this prefix as well.",
    )
    inherit: tuple[str, ...] = Field(
        default=("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"),
        description="Variables that commands are given as Slurm has set them; no other is.",
    )
    grace: float = Field(
        default=5.0,
        ge=0,
        le=300,
        description="Seconds between asking the processes of a job to end and killing them.",
    )
    poll: float = Field(
        default=5.0,
        gt=0,
        description="Seconds between two questions to squeue, at the least; ten times as long as"
        " an answer takes, if that is more.",
    )
    timeout: float = Field(
        default=20.0, ge=1, description="Seconds after which one of Slurm's commands is given up."
    )
    hopeless: float = Field(
        default=120.0,
        ge=0,
        description="Seconds after which a job fails of which Slurm says that it can never start.",
    )
    lost: float = Field(
        default=60.0,
        ge=0,
        description="Seconds after which a job is lost that Slurm does not know any more, and that"
        " has left no record.",
    )

    @field_validator("run_as")
    @classmethod
    def _check_account(cls, name: str) -> str:
        if name not in ("", OF_THE_USER) and not ACCOUNT.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of an account, nor {OF_THE_USER}")
        return name

    @field_validator("gpu")
    @classmethod
    def _check_gpu(cls, text: str) -> str:
        if not text.startswith("--") or text.count("{") != 1 or "{gpus}" not in text:
            raise ValueError("it has to be an argument of sbatch with {gpus} in it")
        return text

    @field_validator("wrap")
    @classmethod
    def _check_wrap(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if "{" in PLACES.sub("", word):
                raise ValueError(f"only image, workspace and outputs may be in braces, in {word!r}")
        return words

    @field_validator("inherit")
    @classmethod
    def _check_inherit(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a variable")
        return names

    @model_validator(mode="after")
    def _check_who(self) -> Self:
        if self.run_as and self.token_file:
            raise ValueError("a token says who asks: it cannot go with run_as")
        return self

    @property
    def has_shell(self) -> bool:
        """Whether a shell reads what is behind ``via``."""
        if self.via_shell is not None:
            return self.via_shell
        return bool(self.via) and Path(self.via[0]).name == "ssh"
