"""Services that describe themselves, in a process of their own interpreter and never in the server.

The program that describes one goes along with each of its jobs, and runs it there, so that the
interpreter needs nothing of uwsd.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from uwsd.capabilities.argv import Argument
from uwsd.capabilities.base import Capability
from uwsd.capabilities.command import PLAIN_ENVIRONMENT, places
from uwsd.capabilities.declarations import Table
from uwsd.capabilities.examples import refusals
from uwsd.capabilities.settings import ServiceSettings

_PATIENCE = 120  # seconds for an import; scientific packages are slow on a cold disk


class Undescribed(ValueError):
    """What is named cannot be a service; the text says why."""


class Description(Table):
    """What a service says of itself."""

    title: str
    description: str
    parameters: Mapping[str, Mapping[str, Any]]
    """Each a table as the configuration has it, which nobody has checked yet."""
    kernel: str = ""  #: of a notebook


def describe(
    what: str, worker: Path, words: tuple[str, ...], settings: ServiceSettings, here: Path
) -> Description:
    """Run ``worker`` with the arguments ``words``, and return what it says of ``what``."""
    known = places(here)
    command = [Argument.read(word).fill(known) for word in (settings.python, *words)]
    command[1:1] = ["-I", str(worker)]
    with TemporaryDirectory() as home:
        environment = {**PLAIN_ENVIRONMENT, **settings.environment, "HOME": home}
        try:
            done = subprocess.run(
                command,
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            hint = f"; {settings.hint}" if settings.hint else ""
            raise Undescribed(f"{what} cannot be described: {error}{hint}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").split("\n")
        why = next((line for line in reversed(lines) if line.strip()), "it says nothing")
        raise Undescribed(f"{what} cannot be a service: {why}")
    return Description.model_validate(json.loads(done.stdout))


def folders(settings: ServiceSettings) -> tuple[str, ...]:
    """Return where modules are looked for, too, as arguments of a command."""
    return tuple(p if p.startswith(("/", "{")) else f"{{here}}/{p}" for p in settings.path)


def sentence(what: str, error: ValidationError) -> str:
    """Say what is wrong with what a service says of itself."""
    why = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return f"{what} cannot be a service: {why}"


def require_examples(service: Capability) -> None:
    """Raise `Undescribed` if one of the examples would be refused."""
    for example, why in refusals(service):
        raise Undescribed(f"the example {example.id} of the service {service.name}: {why}")
