"""``uwsd platforms``: which compute platforms there are, and how they are now."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uwsd.client.arguments import url
from uwsd.client.command import Command
from uwsd.client.platforms import STANDARD, Platform, Wanted
from uwsd.client.platforms.harvest import harvest
from uwsd.client.platforms.regtap import search
from uwsd.client.platforms.status import Status, ask_all
from uwsd.client.terminal import printable

REGISTRY = "https://reg.g-vo.org/tap"


@click.command(cls=Command)
@click.option(
    "--registry",
    type=url,
    envvar="IVOA_REGISTRY",
    default=REGISTRY,
    show_default=True,
    help="The searchable registry: a TAP service with the tables of RegTAP.",
)
@click.option("--harvest", "oai", type=url, help="Read this OAI-PMH registry instead.")
@click.option(
    "--standard", default=STANDARD, show_default=True, help="What the standard ID begins with."
)
@click.option(
    "--subject", "subjects", multiple=True, help="A term of the UAT that has to be there."
)
@click.option("--text", "words", multiple=True, help="A word of the title or the description.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=10.0,
    show_default=True,
    help="Seconds to wait for the word of a platform.",
)
@click.option("--ask/--no-ask", default=True, help="Whether to ask the platforms how they are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def platforms(
    *,
    registry: str,
    oai: str | None,
    standard: str,
    subjects: tuple[str, ...],
    words: tuple[str, ...],
    timeout: float,
    ask: bool,
    as_json: bool,
) -> None:
    """Find compute platforms in the Virtual Observatory.

    In a pipe: a line a job list; identifier, whether it is available, seconds since it said so,
    title and URL, separated by tabs.
    """
    wanted = Wanted(standard=standard, subjects=subjects, words=words)
    found = list(search(registry, wanted) if oai is None else harvest(oai, wanted))
    status = ask_all(found, timeout) if ask else {}
    if as_json:
        click.echo(json.dumps([_told(p, status.get(p.identifier)) for p in found], indent=1))
    elif Console().is_terminal:
        _show(found, status)
    else:
        for platform in found:
            _print(platform, status.get(platform.identifier))


def _told(platform: Platform, status: Status | None) -> dict[str, object]:
    return {**asdict(platform), "status": None if status is None else asdict(status)}


def _print(platform: Platform, status: Status | None) -> None:
    fields = [platform.identifier, _word(status), _age(status), platform.title]
    for joblist in platform.joblists:
        click.echo("\t".join(printable(field) for field in (*fields, joblist)))


def _show(found: list[Platform], status: dict[str, Status]) -> None:
    table = Table("platform", "available", "asked", "record of", "job lists")
    table.columns[-1].overflow = "fold"
    for platform in found:
        said = status.get(platform.identifier)
        cells = (
            f"{platform.title}\n{platform.identifier}",
            _word(said) + (f"\n{said.notes}" if said and said.notes else ""),
            _ago(said),
            platform.updated[:10],
            "\n".join(platform.joblists),
        )
        table.add_row(*(Text(printable(cell, keep="\n")) for cell in cells))
    Console().print(table)


def _word(status: Status | None) -> str:
    return "unknown" if status is None else "yes" if status.is_available else "no"


def _age(status: Status | None) -> str:
    return "" if status is None else f"{max(0.0, time.time() - status.at):.0f}"


def _ago(status: Status | None) -> str:
    """Tell how long ago a platform answered, as people do."""
    if status is None:
        return "it has never answered"
    seconds = (datetime.now(UTC) - datetime.fromtimestamp(status.at, UTC)).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "now"
