"""The ``uwsd`` command: for the admin who serves, and for the scientist who submits."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from uwsd import __version__
from uwsd.auth.passwords import PasswordError, hashed
from uwsd.auth.users import Users, UsersError
from uwsd.client.arguments import instant
from uwsd.client.commands import COMMANDS
from uwsd.config import ConfigError, Settings, load
from uwsd.database import DATABASE_FAULTS, NotAlone
from uwsd.doctor.command import doctor
from uwsd.drain import Drain, DrainFile
from uwsd.heartbeat import HeartbeatFile
from uwsd.migrations import SchemaError, migrate
from uwsd.processes import AlreadyRunning, alone, die_with_parent
from uwsd.registry.commands import registry
from uwsd.registry.finished import RecordRefused, read_folder
from uwsd.site import Site, capabilities, open_database
from uwsd.uws import times
from uwsd.uws.feed import FeedBroken

_CONFIG = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="UWSD_CONFIG",
    help="The configuration file; without one: ./uwsd.toml, or the bundled services.",
)

_TROUBLES = (SchemaError, OSError, *DATABASE_FAULTS)
"""What may be wrong with a database or a data folder; their own words say it."""

_SUPERVISOR = 0x75777364  # "uwsd": the key under which supervisors on one PostgreSQL queue


@click.group()
@click.version_option(__version__)
def main() -> None:
    """An IVOA job service (UWS 1.1) in front of any compute platform."""


@main.command()
@_CONFIG
def serve(config: Path | None) -> None:
    """Run the web server and the supervisor until Ctrl-C."""
    from uwsd.serve import CannotServe  # noqa: PLC0415 - clients need none of it
    from uwsd.serve import serve as run  # noqa: PLC0415

    settings = _settings(config)
    with _explained(ValueError):
        capabilities(settings)  # better one sentence now than a child that does not start
    with _explained(UsersError):
        Users(settings.users_file).hashes()
    try:
        read_folder(settings.registry_folder)
    except (ConfigError, RecordRefused) as error:  # no reason to keep jobs from running
        click.echo(f"the registry's records stay as they were: {error}", err=True)
    with _explained(CannotServe, AlreadyRunning, *_TROUBLES):
        run(settings, _environment(config), click.echo)


@main.command()
@_CONFIG
@click.option("--with-parent", is_flag=True, hidden=True)
def supervise(config: Path | None, *, with_parent: bool) -> None:
    """Run the supervisor alone, beside web servers of your own."""
    if with_parent:
        die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = _settings(config)
    with (
        _explained(AlreadyRunning, NotAlone, FeedBroken, *_TROUBLES),
        _only_supervisor(settings) as require_alone,
    ):
        _supervise(settings, require_alone)


@main.command(name="migrate")
@_CONFIG
def migrate_command(config: Path | None) -> None:
    """Bring the database's schema up to this version."""
    settings = _settings(config)
    with _explained(*_TROUBLES):
        database = open_database(settings)
        migrate(database)
    database.close()
    click.echo("the database's schema is up to date")


@main.command()
@_CONFIG
def check(config: Path | None) -> None:
    """Check the configuration: say what is wrong with it, where, and how to mend it."""
    settings = _settings(config)
    with _explained(ValueError):
        for name, service in capabilities(settings).items():
            click.echo(f"service {name} on {service.backend}: {service.unready() or 'ready'}")
    with _explained(UsersError):
        users = Users(settings.users_file).hashes()
        click.echo(f"{len(users)} can log in with a name and a password")
    with _explained(ConfigError, RecordRefused):
        is_published = read_folder(settings.registry_folder) is not None
        click.echo("records are published" if is_published else "no record is published")
    click.echo("the configuration is good")


@main.command()
def options() -> None:
    """List every option of the configuration, as in docs/configuration.md."""
    from uwsd.config.options import all_options, tables  # noqa: PLC0415

    click.echo(tables(all_options()))


@main.command()
@_CONFIG
@click.option(
    "--until", type=instant, metavar="TIME", help="When jobs will be taken again, in UTC."
)
@click.option("--note", default="", metavar="TEXT", help="What to tell everybody who asks.")
def drain(config: Path | None, until: str | None, note: str) -> None:
    """Take no new jobs; those that are there go on, and their clients are served."""
    file = DrainFile(_settings(config).folder)
    back = None if until is None else times.parse(until)
    with _explained(OSError):
        file.write(Drain(since=times.now(), until=back, note=note))
    click.echo("no new jobs are taken; `uwsd undrain` ends that")


@main.command()
@_CONFIG
def undrain(config: Path | None) -> None:
    """Take jobs again."""
    with _explained(OSError):
        was_drained = DrainFile(_settings(config).folder).remove()
    click.echo("jobs are taken again" if was_drained else "jobs were taken all the time")


@main.group()
def user() -> None:
    """Say who can log in with a name and a password."""


@user.command(name="add")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@_CONFIG
def add_user(name: str, config: Path | None, *, password_stdin: bool) -> None:
    """Add a user, or give one who is there another password."""
    users = Users(_settings(config).users_file)
    with _explained(UsersError, PasswordError, AlreadyRunning, OSError):
        is_new = users.set(name, hashed(_password(from_stdin=password_stdin)))
    click.echo(f"{name} {'can log in' if is_new else 'has another password'} from now on")


@user.command(name="remove")
@click.argument("name")
@_CONFIG
def remove_user(name: str, config: Path | None) -> None:
    """Remove a user; what jobs there are stay, and stay theirs."""
    with _explained(UsersError, AlreadyRunning, OSError):
        Users(_settings(config).users_file).remove(name)
    click.echo(f"{name} cannot log in any more")


@user.command(name="list")
@_CONFIG
def list_users(config: Path | None) -> None:
    """List the names of the users."""
    with _explained(UsersError):
        for name in sorted(Users(_settings(config).users_file).hashes()):
            click.echo(name)


for command in (*COMMANDS, doctor, registry):
    main.add_command(command)


@contextmanager
def _only_supervisor(settings: Settings) -> Iterator[Callable[[], None]]:
    """Wait until there is no other; give what raises when that is not sure any more."""
    database = open_database(settings)
    if database.embedded:
        lock, what = settings.folder / "supervisor.lock", "a supervisor is at work here already"
        with alone(lock, what, patience=10):
            yield lambda: None
    else:
        with database.alone(_SUPERVISOR, lambda: time.sleep(1)) as require_alone:
            yield require_alone
    database.close()


def _supervise(settings: Settings, require_alone: Callable[[], None]) -> None:
    from uwsd.publishing import publisher  # noqa: PLC0415
    from uwsd.supervisor import Supervisor  # noqa: PLC0415
    from uwsd.upkeep import Upkeep  # noqa: PLC0415

    site = Site.open(settings)
    backends = site.backends()
    supervisor = Supervisor(
        store=site.store,
        workspaces=site.workspaces,
        capabilities=site.capabilities,
        backends=backends,
        archive=settings.retention.archive,
        require_room=site.room.require,
    )
    upkeep = Upkeep(
        backends=backends,
        heartbeat=HeartbeatFile(settings.folder),
        publisher=publisher(site),
    )
    stop = os.eventfd(0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.eventfd_write(stop, 1))
    supervisor.run(
        site.feed.listen(),
        stop,
        net=settings.supervisor.tick,
        require_alone=require_alone,
        afterwards=upkeep,
    )


def _settings(config: Path | None) -> Settings:
    try:
        return load(config, os.environ)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        given = sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")
        try:
            return given.decode()
        except UnicodeDecodeError:
            raise click.ClickException("the password is not UTF-8") from None
    if not sys.stdin.isatty():
        raise click.ClickException("there is no terminal to ask on; use --password-stdin")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


def _environment(config: Path | None) -> dict[str, str]:
    """The children read the same configuration as this process."""
    return {**os.environ} if config is None else {**os.environ, "UWSD_CONFIG": str(config)}


@contextmanager
def _explained(*kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        raise click.ClickException(str(error)) from None
