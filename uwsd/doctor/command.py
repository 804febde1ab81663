"""``uwsd doctor``: what an administrator, or their monitoring, types."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uwsd import __version__
from uwsd.client.terminal import printable
from uwsd.config import ConfigError, Settings, load
from uwsd.doctor import installation
from uwsd.doctor.examination import Subject, examine
from uwsd.doctor.findings import Finding, Mark
from uwsd.uws import times

_COLOURS = {Mark.GOOD: "green", Mark.WARNING: "yellow", Mark.BROKEN: "bold red"}


@click.command()
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="UWSD_CONFIG",
    help="The configuration file; without one: ./uwsd.toml, or the bundled services.",
)
@click.option("--backend", "names", multiple=True, metavar="NAME", help="Only this one; repeat.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for monitoring.")
@click.option(
    "--patience",
    type=click.IntRange(5, 1800),
    default=300,
    show_default=True,
    metavar="S",
    help="Seconds that one probe may wait and run.",
)
def doctor(config: Path | None, names: tuple[str, ...], *, as_json: bool, patience: int) -> None:
    """Try everything that a job needs, on each backend, and say how to mend what is broken.

    Small jobs are run, one after the other; nothing of them is left. It may be run beside a
    server that is at work, as the account that serves. The exit status is 0 if nothing is
    broken, else 1.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):  # they, too, are to leave nothing behind
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    found: list[Finding] = []
    show = Console(highlight=False, emoji=False)
    for finding in _findings(config, names, patience):
        if not as_json:
            _print(show, finding, is_first=not found or found[-1].place != finding.place)
        found.append(finding)
    if as_json:
        click.echo(json.dumps(_document(found), indent=1))
    else:
        click.echo(f"\n{', '.join(f'{n} {mark}' for mark, n in _counts(found).items())}")
    sys.exit(1 if _counts(found)[Mark.BROKEN] else 0)


def _findings(config: Path | None, names: tuple[str, ...], patience: int) -> Iterator[Finding]:
    try:
        settings = load(config, os.environ)
    except ConfigError as error:
        for one in error.problems:
            found = f"{one.where}: {one.message}"
            yield Finding(mark=Mark.BROKEN, what="configuration", found=found, fix=one.fix)
        return
    if unknown := set(names) - settings.backends.keys():
        known = ", ".join(sorted(settings.backends))
        raise click.BadParameter(f"{min(unknown)} is no backend here; known: {known}")
    for finding in installation.examine(settings):
        yield finding
        if finding.mark is Mark.BROKEN and finding.what in installation.VITAL:
            return
    for subject in _subjects(settings, names):
        yield from examine(subject, settings.folder / "jobs", patience=patience)


def _subjects(settings: Settings, names: tuple[str, ...]) -> Iterator[Subject]:
    for name, chosen in settings.backends.items():
        if name in (names or settings.backends):
            images = (s.image for s in settings.services.values() if s.backend == name and s.image)
            yield Subject.configured(name, chosen, next(images, ""))


def _print(console: Console, finding: Finding, *, is_first: bool) -> None:
    found = printable(finding.found)
    fix = printable(f"fix: {finding.fix}") if finding.fix else ""
    if is_first:
        console.print(Text(f"\n{finding.place}", style="bold"))
    if console.is_terminal:
        console.print(_row(Text(f"  {finding.mark}", style=_COLOURS[finding.mark]), found, fix))
        return
    click.echo(f"  {finding.mark:<8} {found}")
    if fix:
        click.echo(f"{'':11}{fix}")


def _row(mark: Text, found: str, fix: str) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_column(width=10)
    row.add_column(overflow="fold")
    row.add_row(mark, Text(found))
    if fix:
        row.add_row("", Text(fix, style="italic"))
    return row


def _document(found: list[Finding]) -> dict[str, object]:
    return {
        "version": __version__,
        "at": times.to_text(times.now()),
        "good": not _counts(found)[Mark.BROKEN],
        "findings": [asdict(finding) for finding in found],
    }


def _counts(found: list[Finding]) -> dict[Mark, int]:
    return {mark: sum(finding.mark is mark for finding in found) for mark in Mark}


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
