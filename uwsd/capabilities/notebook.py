"""A service that is a Jupyter notebook: the cell with the tag `parameters` is the declaration.

The server neither runs the notebook nor imports papermill. Two programs do, by the interpreter of
the notebook's environment: one describes it when the server starts, the other runs it in each job.
That one and the notebook go along with the job, so that an engine needs nothing of uwsd.
"""

from collections.abc import Mapping
from dataclasses import replace
from glob import escape
from pathlib import Path

from pydantic import ValidationError

from uwsd.backends.base import Task
from uwsd.capabilities.argv import Argument
from uwsd.capabilities.command import Command, places
from uwsd.capabilities.declarations import ParameterSettings
from uwsd.capabilities.described import (
    Description,
    Undescribed,
    describe,
    folders,
    require_examples,
    sentence,
)
from uwsd.capabilities.results import HTML, media_type
from uwsd.capabilities.settings import ServiceSettings
from uwsd.uws.job import MAIN, Job
from uwsd.worker.notebook import STOPPED

_WORKERS = Path(__file__).parents[1] / "worker"

WORKER = _WORKERS / "notebook.py"
"""The program that runs a notebook."""

READER = _WORKERS / "notebook_parameters.py"
"""The program that describes one."""

_TEXTS = frozenset({"string", "enum"})


class Notebook(Command):
    """A service that is a notebook: a command that runs it."""

    def __init__(self, name: str, settings: ServiceSettings, here: Path) -> None:
        """Have the notebook described. Raises `Undescribed`."""
        file = here / Argument.read(settings.notebook or "").fill(places(here))
        words = (_literal(str(file)), settings.kernel or "")
        described = describe(file.name, READER, words, settings, here)
        try:
            command = _as_command(file.name, settings, described)
        except ValidationError as error:
            raise Undescribed(sentence(file.name, error)) from None
        super().__init__(name, command, here)
        require_examples(self)
        self._files = {WORKER.name: WORKER.read_bytes(), file.name: file.read_bytes()}

    def task(self, job: Job, workspace: Path) -> Task:
        """Return what to run, the notebook and the worker with it; see `Command.task`."""
        task = super().task(job, workspace)
        return replace(task, files={**task.files, **self._files})

    def cause(self, stderr: str) -> str:
        """Return the sentence that the worker has left last; see `Capability.cause`."""
        last = stderr.rstrip().rpartition("\n")[2]
        return last if last.startswith(STOPPED) else ""


def _as_command(name: str, settings: ServiceSettings, described: Description) -> ServiceSettings:
    """Return the service as the command that runs the notebook."""
    own = {"capability", "notebook", "kernel", "python", "path", "parameters", "results"}
    made = {
        MAIN: {"path": escape(name), "media_type": media_type(name)},
        HTML: {"path": escape(f"{Path(name).stem}.html"), "required": False},
    }
    workspace = "{workspace}/"
    words = (workspace + _literal(name), described.kernel, *folders(settings))
    return ServiceSettings.model_validate(
        {
            "title": described.title,
            "description": described.description,
            **settings.model_dump(exclude=own, exclude_unset=True),
            "capability": "command",
            "parameters": _refined(name, described.parameters, settings.parameters),
            "results": {**made, **settings.results},
            "command": (settings.python, "-I", workspace + WORKER.name, *words),
        }
    )


def _refined(
    notebook: str,
    told: Mapping[str, Mapping[str, object]],
    refinements: Mapping[str, ParameterSettings],
) -> Mapping[str, Mapping[str, object]]:
    """Return the parameters as the notebook tells them, and the configuration on top of that."""
    if others := refinements.keys() - told.keys():
        raise Undescribed(
            f"{notebook} has no parameter {', '.join(sorted(others))}; it has {', '.join(told)}"
        )
    return {
        name: _merged(f"{notebook} cannot be a service: {name}", says, refinements.get(name))
        for name, says in told.items()
    }


def _merged(
    what: str, told: Mapping[str, object], refinement: ParameterSettings | None
) -> Mapping[str, object]:
    more = refinement.model_dump(exclude_unset=True) if refinement else {}
    if more.get("values") and "type" not in more:
        if told.get("type", "string") not in _TEXTS:
            raise Undescribed(f"{what}: values is for texts, and it is of the type {told['type']}")
        more["type"] = "enum"
    says = {**told, **more}
    why = says.pop("unclear", "")
    if "type" not in says:
        raise Undescribed(f"{what}: {why}")
    if (says.get("required") or says["type"] == "file") and "default" not in more:
        says.pop("default", None)
    return says


def _literal(text: str) -> str:
    """Return a text for a command in which a brace stands for itself."""
    return text.replace("{", "{{").replace("}", "}}")


def create(name: str, settings: ServiceSettings, here: Path) -> Notebook:
    """Make the service ``name``, declared in a configuration file in ``here``."""
    return Notebook(name, settings, here)
