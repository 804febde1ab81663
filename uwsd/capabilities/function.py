"""A service that is a Python function: its signature and its docstring are the declaration.

The server never imports the function. `uwsd/worker/function.py` does, in a process of its own:
once to describe it, and in each job to call it. That file goes along with the job, so that
the function's interpreter needs nothing of uwsd.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from uwsd.backends.base import Task
from uwsd.capabilities.argv import Argument
from uwsd.capabilities.command import PLAIN_ENVIRONMENT, Command, places
from uwsd.capabilities.declarations import ParameterSettings, Table
from uwsd.capabilities.examples import refusals
from uwsd.capabilities.results import IDENTIFIER, RESERVED, media_type, output
from uwsd.capabilities.settings import ServiceSettings
from uwsd.uws.job import MAIN, Job, Result

WORKER = Path(__file__).parents[1] / "worker" / "function.py"
"""The program that describes a function and calls it."""

_RETURNED = "returned"  # the folder where WORKER leaves what the function returned
_PATIENCE = 120  # seconds for an import; scientific packages are slow on a cold disk


class FunctionError(ValueError):
    """The function cannot be a service; the text says why."""


class Description(Table):
    """What a function says of itself."""

    title: str
    description: str
    parameters: Mapping[str, ParameterSettings]


class Function(Command):
    """A service that is a Python function: a command that calls it."""

    def __init__(self, name: str, settings: ServiceSettings, here: Path) -> None:
        """Ask the function to describe itself. Raises `FunctionError`."""
        try:
            command = _as_command(settings, describe(settings, here))
        except ValidationError as error:
            why = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise FunctionError(f"{settings.function} cannot be a service: {why}") from None
        super().__init__(name, command, here)
        for example, why in refusals(self):
            raise FunctionError(f"the example {example.id} of the service {name}: {why}")
        self._worker = WORKER.read_bytes()

    def task(self, job: Job, workspace: Path) -> Task:
        """Return what to run, the worker with it; see `Command.task`."""
        task = super().task(job, workspace)
        return replace(task, files={**task.files, WORKER.name: self._worker})

    def main_media_type(self) -> None:
        """Return None: the function decides, when it returns."""

    def results(self, outputs: Mapping[str, int]) -> Sequence[Result]:
        """Return what the function returned: the files ``returned/ID/NAME``, the main one first."""
        found: dict[str, Result] = {}
        for path in sorted(outputs):
            match PurePosixPath(path).parts:
                case [folder, id_, name] if folder == _RETURNED and _is_id(id_):
                    found.setdefault(id_, output(id_, path, outputs[path], media_type(name)))
        return sorted(found.values(), key=lambda result: result.id != MAIN)


def describe(settings: ServiceSettings, here: Path) -> Description:
    """Import the function in a process of its own, and return what it says of itself."""
    known = places(here)
    words = (settings.python, "-I", str(WORKER), *_words("describe", settings))
    command = [Argument.read(word).fill(known) for word in words]
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
            raise FunctionError(f"{settings.function} cannot be described: {error}") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").split("\n")
        why = next((line for line in reversed(lines) if line.strip()), "it says nothing")
        raise FunctionError(f"{settings.function} cannot be a service: {why}")
    return Description.model_validate(json.loads(done.stdout))


def _as_command(settings: ServiceSettings, described: Description) -> ServiceSettings:
    """Return the service as the command that calls the function."""
    own = {"capability", "function", "python", "path", "title", "description"}
    worker = "{workspace}/" + WORKER.name
    return ServiceSettings(
        **settings.model_dump(exclude=own, exclude_unset=True),
        capability="command",
        title=settings.title or described.title,
        description=settings.description or described.description,
        parameters=described.parameters,
        command=(settings.python, "-I", worker, *_words("call", settings)),
    )


def _words(verb: str, settings: ServiceSettings) -> tuple[str, ...]:
    folders = (p if p.startswith(("/", "{")) else f"{{here}}/{p}" for p in settings.path)
    return (verb, str(settings.function), *folders)


def _is_id(name: str) -> bool:
    return IDENTIFIER.fullmatch(name) is not None and name not in RESERVED


def create(name: str, settings: ServiceSettings, here: Path) -> Function:
    """Make the service ``name``, declared in a configuration file in ``here``."""
    return Function(name, settings, here)
