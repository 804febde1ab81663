"""The configuration: ``uwsd.toml`` and the environment, as typed and checked settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from uwsd import plugins
from uwsd.capabilities.command import Command
from uwsd.capabilities.examples import refusals
from uwsd.config.problems import Problem, closest, problems_of
from uwsd.config.settings import BackendSettings, Settings
from uwsd.config.source import Source, read

__all__ = ["BUNDLED", "ConfigError", "Problem", "Settings", "load"]

BUNDLED = Path(__file__).parents[1] / "bundled" / "uwsd.toml"
"""The configuration that is used when there is no other."""


class ConfigError(Exception):
    """The configuration is not good; `problems` has all that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the configuration, or raise `ConfigError` with everything that is wrong with it.

    Without ``path`` it is the file that ``UWSD_CONFIG`` names, or ``./uwsd.toml``, or
    `BUNDLED`. Options in the environment come on top.
    """
    path = path or _default_path(environ)
    source = read(path, environ)
    backends, troubles = _backends(source)
    try:
        settings = Settings(**_with_site_limits(source.tables), here=path.absolute().parent)
    except ValidationError as error:
        raise ConfigError((*source.problems, *troubles, *problems_of(error, source))) from None
    problems = (
        *source.problems,
        *troubles,
        *_unknown_backends(settings, backends, source),
        *_refused_examples(settings, source),
    )
    if problems:
        raise ConfigError(problems)
    return settings.model_copy(update={"backends": backends})


def _default_path(environ: Mapping[str, str]) -> Path:
    if "UWSD_CONFIG" in environ:
        return Path(environ["UWSD_CONFIG"])
    return here if (here := Path("uwsd.toml")).exists() else BUNDLED


def _with_site_limits(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables without the backends', the site's limits in each service's."""
    rest = {name: table for name, table in tables.items() if name != "backends"}
    site, services = rest.get("limits"), rest.get("services")
    if isinstance(site, dict) and isinstance(services, dict):
        rest["services"] = {name: _limited(service, site) for name, service in services.items()}
    return rest


def _limited(service: object, site: Mapping[str, Any]) -> object:
    if not isinstance(service, dict) or not isinstance(service.get("limits", {}), dict):
        return service
    return {**service, "limits": {**site, **service.get("limits", {})}}


def _backends(source: Source) -> tuple[dict[str, BackendSettings], list[Problem]]:
    """Check each backend's table against the options of its type."""
    tables = source.tables.get("backends", {"local": {"type": "local"}})
    chosen: dict[str, BackendSettings] = {}
    problems: list[Problem] = []
    for name, table in tables.items() if isinstance(tables, dict) else ():
        key = ("backends", name)
        if not isinstance(table, dict) or not isinstance(table.get("type"), str):
            message = f'backends.{name} needs a type, such as "local"'
            problems.append(Problem(where=source.where(key), message=message))
            continue
        options = {option: value for option, value in table.items() if option != "type"}
        try:
            module = plugins.load("uwsd.backends", table["type"])
            chosen[name] = BackendSettings(type=table["type"], options=module.Options(**options))
        except plugins.NoSuchPlugin as error:
            problems.append(Problem(where=source.where((*key, "type")), message=str(error)))
        except ValidationError as error:
            problems += problems_of(error, source, key)
    return chosen, problems


def _unknown_backends(
    settings: Settings, backends: Mapping[str, BackendSettings], source: Source
) -> list[Problem]:
    return [
        Problem(
            where=source.where(("services", name, "backend")),
            message=f"the service {name} is to run on {service.backend}, which is no backend here",
            fix=closest(service.backend, backends),
        )
        for name, service in settings.services.items()
        if service.backend not in backends
    ]


def _refused_examples(settings: Settings, source: Source) -> list[Problem]:
    """Find the examples that would fail; what a function takes is known only when it is asked."""
    return [
        Problem(
            where=source.where(("services", name, "examples", example.id, "parameters")),
            message=f"the example {example.id} of the service {name}: {why}",
        )
        for name, service in settings.services.items()
        if service.capability == "command"
        for example, why in refusals(Command(name, service, settings.here))
    ]
