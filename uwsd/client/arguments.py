"""How words on the command line are read. All raise click's `BadParameter`."""

from pathlib import Path
from urllib.parse import urlsplit

import click

from uwsd.uws.times import parse, to_text


def pair(text: str) -> tuple[str, str]:
    """Read ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def file(text: str) -> tuple[str, tuple[str, bytes]]:
    """Read ``NAME=PATH``, and the file there."""
    name, path = pair(text)
    try:
        return name, (Path(path).name, Path(path).read_bytes())
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror}") from error


def url(text: str) -> str:
    """Read an http(s) URL, without its query and the slash at its end."""
    try:
        parts = urlsplit(text)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return text.partition("#")[0].partition("?")[0].rstrip("/")
    except ValueError:  # a port, or an address in brackets, that is none
        pass
    raise click.BadParameter(f"{text!r} is not an http(s) URL")


def instant(text: str) -> str:
    """Read a time in UTC, in any of the forms of ISO 8601 that DALI has."""
    try:
        return to_text(parse(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
