"""``uwsd registry``: check the site's records, and register them."""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import click

from uwsd.config import ConfigError, Settings, load
from uwsd.config.options import options_of, tables
from uwsd.registry.check import Finding, Unreachable, check
from uwsd.registry.check.findings import Level
from uwsd.registry.check.place import check_names, check_place
from uwsd.registry.finished import RecordRefused, read_folder
from uwsd.registry.site import FILE, TEMPLATE, SiteFile

_COLOURS = {Level.PASS: "green", Level.WARN: "yellow", Level.FAIL: "red"}
_CONFIG = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="UWSD_CONFIG",
    help="The configuration file; without one: ./uwsd.toml, or the bundled services.",
)
_REGISTER = """\
Every check that the Registry of Registries makes is passed. To register:

  1. Open https://rofr.ivoa.net/regvalidate/ in a browser.
  2. Enter this URL, to the letter:
         {url}
  3. Leave "Use built-in schemas" unticked, and press "Validate".
  4. When it says that the registry is compliant, press "Register".

What it will read, for you to compare:
         identifier   {identifier}
         title        {title}
         authority    {authority}
         contact      {name} <{email}>

The searchable registries find you within a day or so. To see whether they have, ask one:
         uwsd platforms --text "{text}"
Or, in ADQL, with any TAP client, such as TOPCAT:
         SELECT ivoid, res_title FROM rr.resource WHERE ivoid LIKE 'ivo://{authority}%'

From now on keep {url} where it is; to move it, write to the operators of
the Registry of Registries.
"""


@click.group()
def registry() -> None:
    """The site's records in the Virtual Observatory's registry."""


@registry.command()
@_CONFIG
def init(config: Path | None) -> None:
    """Write registry/site.toml, for you to say what the VO shall know of this site."""
    path = _settings(config).registry_folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.read_text("utf-8"))
    except FileExistsError:
        raise click.ClickException(f"{path} is there already") from None
    click.echo(f"{path} is written; change what says example, then run `uwsd registry check`")


@registry.command()
def options() -> None:
    """List every option of registry/site.toml, as in docs/registry.md."""
    click.echo(tables(options_of(SiteFile)))


@registry.command(name="check")
@click.argument("url", required=False)
@_CONFIG
@click.option("--all", "everything", is_flag=True, help="Show what is good, too.")
def check_command(url: str | None, config: Path | None, *, everything: bool) -> None:
    """Check this site's registry, or the one at URL, as the Registry of Registries does."""
    findings = _own(_settings(config)) if url is None else _harvested(url)
    if not _show(findings, everything=everything):
        sys.exit(1)


@registry.command()
@_CONFIG
def register(config: Path | None) -> None:
    """Register this site, once every check is passed."""
    settings = _settings(config)
    if not _show(_own(settings), everything=False):
        raise click.ClickException("mend what fails; until then the site cannot be registered")
    site = _site(settings)
    click.echo(
        _REGISTER.format(
            url=f"{settings.public_url}/oai",
            identifier=site.identifier("registry"),
            title=site.authority.title,
            authority=site.authority.id,
            name=site.contact.name,
            email=site.contact.email,
            text=site.platform.title or site.organisation.title,
        )
    )


def _own(settings: Settings) -> Iterator[Finding]:
    """Check the files first, then where the site is, then what it says of itself."""
    site = _site(settings)
    url = f"{settings.public_url}/oai"
    return chain(check_names(site), check_place(url), _harvested(url))


def _site(settings: Settings) -> SiteFile:
    folder = settings.registry_folder
    try:
        written = read_folder(folder)
    except (ConfigError, RecordRefused) as error:
        raise click.ClickException(str(error)) from None
    if written is None:
        raise click.ClickException(f"there is no {folder / FILE}; `uwsd registry init` makes it")
    site, _ = written
    return site


def _harvested(url: str) -> Iterator[Finding]:
    try:
        yield from check(url)
    except Unreachable as error:
        raise click.ClickException(str(error)) from None


def _show(findings: Iterable[Finding], *, everything: bool) -> bool:
    """Print findings as they come, and a sum; return whether nothing fails."""
    counts = dict.fromkeys(Level, 0)
    for finding in findings:
        counts[finding.level] += 1
        if everything or finding.level is not Level.PASS:
            _print(finding)
    click.echo(", ".join(f"{count} {level}" for level, count in counts.items()))
    return counts[Level.FAIL] == 0


def _print(finding: Finding) -> None:
    click.echo(f"{click.style(finding.level, fg=_COLOURS[finding.level])}  {finding.what}")
    for label, text in (("found", finding.found), ("fix", finding.fix)):
        if text and finding.level is not Level.PASS:
            click.echo(f"      {label}: {text}")


def _settings(config: Path | None) -> Settings:
    try:
        return load(config, os.environ)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
