"""``uwsd platforms``: which compute platforms there are, and how they are now."""

import json
import sys
import time
from dataclasses import asdict

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
from uwsd.client.terminal import printable, tell

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
    help="Seconds to wait for what the platforms say.",
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

    In a pipe: a line a job list, with fields separated by tabs: identifier; yes, no, was yes or
    was no for one that does not answer now, or unknown; seconds since it said so; title; URL.
    """
    wanted = Wanted(standard=standard, subjects=subjects, words=words)
    found = search(registry, wanted) if oai is None else harvest(oai, wanted)
    status = ask_all(found, timeout) if ask else {}
    if as_json:
        click.echo(json.dumps([_told(p, status.get(p.identifier)) for p in found], indent=1))
    elif not found:
        tell("no platform is found")
    elif sys.stdout.isatty():
        _show(found, status)
    else:
        for platform in found:
            _print(platform, status.get(platform.identifier))


def _told(platform: Platform, status: Status | None) -> dict[str, object]:
    return {**asdict(platform), "status": None if status is None else asdict(status)}


def _print(platform: Platform, status: Status | None) -> None:
    age = "" if status is None else f"{max(0.0, time.time() - status.at):.0f}"
    for joblist in platform.joblists:
        fields = (platform.identifier, _word(status), age, platform.title, joblist)
        click.echo("\t".join(map(printable, fields)))


def _show(found: list[Platform], status: dict[str, Status]) -> None:
    table = Table("platform", "available", "said", "record of", "job lists")
    table.columns[-1].overflow = "fold"
    for platform in found:
        said = status.get(platform.identifier)
        table.add_row(
            _cell(platform.title, platform.identifier),
            _cell(_word(said), said.notes if said else ""),
            _cell(_ago(said)),
            _cell(platform.updated[:10]),
            _cell(*platform.joblists),
        )
    Console().print(table)


def _cell(*lines: str) -> Text:
    return Text("\n".join(map(printable, filter(None, lines))))


def _word(status: Status | None) -> str:
    if status is None:
        return "unknown"
    return ("" if status.answers else "was ") + ("yes" if status.is_available else "no")


def _ago(status: Status | None) -> str:
    """Tell how long ago a platform answered, as people do."""
    if status is None:
        return ""
    seconds = time.time() - status.at
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "now" if status.answers else "just now"
