"""A service that is a Python function: its signature and its docstring are the declaration.

The server never imports the function. `uwsd/worker/function.py` does, in a process of its own:
once to describe it, and in each job to call it. That file goes along with the job, so that
the function's interpreter needs nothing of uwsd.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from uwsd.backends.base import Task
from uwsd.capabilities.command import Command
from uwsd.capabilities.described import (
    Description,
    Undescribed,
    describe,
    folders,
    require_examples,
    sentence,
)
from uwsd.capabilities.results import IDENTIFIER, RESERVED, media_type, output
from uwsd.capabilities.settings import ServiceSettings
from uwsd.uws.job import MAIN, Job, Result

WORKER = Path(__file__).parents[1] / "worker" / "function.py"
"""The program that describes a function and calls it."""

_RETURNED = "returned"  # the folder where WORKER leaves what the function returned


class Function(Command):
    """A service that is a Python function: a command that calls it."""

    def __init__(self, name: str, settings: ServiceSettings, here: Path) -> None:
        """Ask the function to describe itself. Raises `Undescribed`."""
        what = str(settings.function)
        described = describe(what, WORKER, _words("describe", settings), settings, here)
        try:
            command = _as_command(settings, described)
        except ValidationError as error:
            raise Undescribed(sentence(what, error)) from None
        super().__init__(name, command, here)
        require_examples(self)
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


def _as_command(settings: ServiceSettings, described: Description) -> ServiceSettings:
    """Return the service as the command that calls the function."""
    own = {"capability", "function", "python", "path"}
    worker = "{workspace}/" + WORKER.name
    return ServiceSettings.model_validate(
        {
            "title": described.title,
            "description": described.description,
            **settings.model_dump(exclude=own, exclude_unset=True),
            "capability": "command",
            "parameters": described.parameters,
            "command": (settings.python, "-I", worker, *_words("call", settings)),
        }
    )


def _words(verb: str, settings: ServiceSettings) -> tuple[str, ...]:
    return (verb, str(settings.function), *folders(settings))


def _is_id(name: str) -> bool:
    return IDENTIFIER.fullmatch(name) is not None and name not in RESERVED


def create(name: str, settings: ServiceSettings, here: Path) -> Function:
    """Make the service ``name``, declared in a configuration file in ``here``."""
    return Function(name, settings, here)
