"""A service that is a command: declared in the configuration, run without a shell.

A job finds its parameters in three places, each complete in itself: on its command line
where the declaration puts them (`uwsd.capabilities.argv`), in ``parameters.json``, and in
its environment. It starts in ``outputs/``, and leaves its results there.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from uwsd.backends.base import PROGRESS, Task, TaskRefused
from uwsd.capabilities.argv import Argument, CommandLine
from uwsd.capabilities.base import Capability
from uwsd.capabilities.formats import RESPONSEFORMAT, check_format
from uwsd.capabilities.inputs import Inputs
from uwsd.capabilities.results import pick
from uwsd.capabilities.settings import ServiceSettings, variable
from uwsd.uws.errors import BadRequest
from uwsd.uws.job import MAIN, Job, Parameter, Result

PARAMETERS = "parameters.json"
"""The typed values by declared name, in the job's workspace. A file is its path."""

PLAIN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
"""What every process that is started gets; nothing of the server's own environment."""

_LONGEST_VARIABLE = 8 * 1024


class Command(Capability):
    """A service that is a command."""

    # VODataService has no type for a job service: it is a plain capability with UWS's own id.
    standard_id = "ivo://ivoa.net/std/UWS#rest-1.1"

    def __init__(self, name: str, settings: ServiceSettings, here: Path) -> None:
        """Take the declaration of the service ``name``, in a configuration file in ``here``."""
        self.name = name
        self.title = settings.title or name
        self.description = settings.description
        self.subjects = settings.subjects
        self.backend = settings.backend
        self.parameters = settings.declared()
        self.limits = settings.limits.declared()
        self.rules = tuple(rule.declared(id_) for id_, rule in settings.results.items())
        self.examples = tuple(example.declared(id_) for id_, example in settings.examples.items())
        self._settings = settings
        self._here = here
        self._command = CommandLine(settings.command, self.parameters)

    def check(self, parameters: Sequence[Parameter]) -> tuple[str, ...]:
        """Check what a client gave, as far as it fits the command line; see `JobList.check`."""
        inputs = Inputs.read(self.parameters, parameters)
        inputs.fetches(self._settings.fetch, self.limits.max_upload)
        nowhere = Path()
        self._command.bind(self._known(nowhere, ""), inputs.texts(nowhere))
        return self._without_format(inputs.unknown, parameters)

    def missing(self, job: Job) -> tuple[str, ...]:
        """Return the names of the required parameters that have no value."""
        given = {g.declared for g in Inputs.read(self.parameters, job.parameters).given}
        return tuple(p.name for p in self.parameters if p.required and p not in given)

    def takes_file(self, name: str) -> bool:
        """Whether the parameter of that name, in any case, is a file."""
        return any(p.is_file and p.name.upper() == name.upper() for p in self.parameters)

    def task(self, job: Job, workspace: Path) -> Task:
        """Return what to run. Raises `TaskRefused` while something is missing that it requires.

        Raises `BadRequest` if the declaration has changed and the job does not fit it any more.
        """
        self._require_ready()
        if missing := self.missing(job):
            raise BadRequest(f"{', '.join(missing)} has no value")
        inputs = Inputs.read(self.parameters, job.parameters)
        texts = inputs.texts(workspace)
        return Task(
            job_id=job.id,
            command=self._command.bind(self._known(workspace, job.id), texts),
            environment=self._environment(workspace, job, texts),
            files={**inputs.files(), PARAMETERS: inputs.document(workspace)},
            fetch=inputs.fetches(self._settings.fetch, self.limits.max_upload),
            duration=job.duration,
            memory=int(self._settings.limits.memory),
            cpus=self._settings.limits.cpus,
            gpus=self._settings.limits.gpus,
            network=self._settings.network,
            image=self._settings.image,
            service=self.name,
            user=job.owner or "",
        )

    def results(self, outputs: Mapping[str, int]) -> Sequence[Result]:
        """Pick the results as they are declared; see `Capability.results`."""
        return pick(self.rules, outputs)

    def unready(self) -> str | None:
        """Say why the service cannot work now, or None."""
        known = places(self._here)
        for text in self._settings.requires:
            if not (self._here / Argument.read(text).fill(known)).exists():
                remedy = self._settings.hint or f"{text} is missing"
                return f"the service {self.name} is not complete here: {remedy}"
        return None

    def main_media_type(self) -> str | None:
        """Return the media type of the main result, or None while nobody can know it."""
        main = [rule.media_type for rule in self.rules if rule.id == MAIN]
        return main[0] if main else "text/plain"  # what it prints

    def _without_format(
        self, unknown: tuple[str, ...], parameters: Sequence[Parameter]
    ) -> tuple[str, ...]:
        """Return the unknown names but RESPONSEFORMAT, if it asks for what is made anyway."""
        made = self.main_media_type()
        if made is None or RESPONSEFORMAT not in {name.upper() for name in unknown}:
            return unknown
        check_format([p.value for p in parameters if p.name.upper() == RESPONSEFORMAT], made)
        return tuple(name for name in unknown if name.upper() != RESPONSEFORMAT)

    def _require_ready(self) -> None:
        if why := self.unready():
            raise TaskRefused(why)

    def _known(self, workspace: Path, job_id: str) -> Mapping[str, str]:
        """Return a text for each of `argv.BUILTINS`."""
        return {
            **places(self._here),
            "workspace": str(workspace),
            "inputs": str(workspace / "inputs"),
            "outputs": str(workspace / "outputs"),
            "job_id": job_id,
        }

    def _environment(
        self, workspace: Path, job: Job, texts: Mapping[str, Sequence[str]]
    ) -> Mapping[str, str]:
        """Return all of the job's environment."""
        return {
            **PLAIN_ENVIRONMENT,
            "HOME": str(workspace),
            "UWSD_JOB_ID": job.id,
            # DALI 1.2 section 4.3.6: it is to be passed on to the services that the job calls.
            "UWSD_RUN_ID": job.run_id or "",
            "UWSD_PARAMETERS": str(workspace / PARAMETERS),
            "UWSD_INPUTS": str(workspace / "inputs"),
            "UWSD_OUTPUTS": str(workspace / "outputs"),
            "UWSD_PROGRESS": str(workspace / PROGRESS),
            **_variables(texts.items()),
            **self._settings.environment,
        }


def places(here: Path) -> Mapping[str, str]:
    """Return what ``{python}`` and ``{here}`` stand for, in a configuration file in ``here``."""
    return {"python": sys.executable, "here": str(here)}


def _variables(texts: Iterable[tuple[str, Sequence[str]]]) -> Mapping[str, str]:
    """Return a variable for each single value that fits one.

    Those that are long or have a NUL, and lists, are in ``parameters.json`` alone.
    """
    return {
        f"UWSD_PARAM_{variable(name)}": values[0]
        for name, values in texts
        if len(values) == 1 and "\0" not in values[0] and len(values[0]) <= _LONGEST_VARIABLE
    }


def create(name: str, settings: ServiceSettings, here: Path) -> Command:
    """Make the service ``name``, declared in a configuration file in ``here``."""
    return Command(name, settings, here)
