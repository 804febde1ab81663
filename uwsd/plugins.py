"""From a name in the configuration to the module that does it.

``type = "local"`` is ``uwsd.backends.local``; a dotted name is somebody else's module. A
plugin is a module with two names in it, and there is no register to edit.
"""

from importlib import import_module
from types import ModuleType


class NoSuchPlugin(Exception):
    """There is no such module, or a library that it needs is not installed."""


def load(package: str, name: str) -> ModuleType:
    """Return the module of a plugin, such as ``load("uwsd.backends", "local")``."""
    full = name if "." in name else f"{package}.{name}"
    try:
        return import_module(full)
    except ModuleNotFoundError as error:
        if error.name is not None and full.startswith(error.name):
            raise NoSuchPlugin(f"there is no module {full}") from None
        raise NoSuchPlugin(
            f"{name} needs {error.name}, which is not installed; try `pip install uwsd[{name}]`"
        ) from error
