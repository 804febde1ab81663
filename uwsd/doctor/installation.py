"""What can be wrong with the machine and the settings, whatever the backends are."""

import os
import pwd
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from uwsd.auth.users import Users, UsersError
from uwsd.config import Settings
from uwsd.database import Database
from uwsd.doctor.findings import Finding, Mark, broken, good, warning
from uwsd.drain import DrainFile
from uwsd.health import look_once
from uwsd.heartbeat import HeartbeatFile, silence
from uwsd.loopback import is_loopback
from uwsd.migrations import SchemaError, require_schema
from uwsd.registry.finished import read_folder
from uwsd.site import capabilities
from uwsd.uws import times
from uwsd.uws.store import knows
from uwsd.uws.workspace import Workspaces

_LITTLE = 0.05  #: of a disk that is free
_SKEW = 2.0  #: seconds
_FRESH = 3600.0  #: seconds for which the folder of a job may be there before the job is
_SHARED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "glusterfs"}
)
"""File systems on which SQLite's write-ahead log does not work between machines."""


VITAL = frozenset({"account", "data-folder"})
"""What has to be good for anything else to be looked at: it would do harm, or fail for the same."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything but the backends; what is in `VITAL` comes first."""
    yield _account(settings)
    for look in (_folder, _services, _disk, _database, _clock, _url, _users, _supervisor, _drain):
        yield from look(settings)


def _account(settings: Settings) -> Finding:
    # What another account makes would stand in the way of the one that serves.
    folder, user = settings.folder, os.geteuid()
    owner = folder.stat().st_uid if folder.exists() else user
    if owner != user:
        found = f"this is {_name(user)}, and the data folder {folder} belongs to {_name(owner)}"
        return broken("account", found, f"sudo -u {_name(owner)} uwsd doctor")
    if user == 0:
        fix = "give the data folder to an account of its own, and serve as that: docs/operating.md"
        return warning("account", "it serves as root", fix)
    return good("account", f"it serves as {_name(user)}")


def _services(settings: Settings) -> Iterator[Finding]:
    try:
        services = capabilities(settings)
        read_folder(settings.registry_folder)
    except Exception as error:  # noqa: BLE001 - an author's module may raise anything
        yield broken("configuration", str(error), "uwsd check")
        return
    for name, service in services.items():
        if why := service.unready():
            yield warning("service", f"jobs of {name} will fail: {why}", "uwsd check")
    yield good("configuration", f"the configuration is good, with {len(services)} services")


def _folder(settings: Settings) -> Iterator[Finding]:
    folder, fix = settings.folder, f"install -d -m 700 -o ACCOUNT {settings.folder}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
            ahead = os.fstat(file.fileno()).st_mtime - time.time()
    except OSError as error:
        yield broken("data-folder", f"the data folder {folder} cannot be written: {error}", fix)
        return
    if folder.stat().st_mode & 0o007:
        yield warning("data-folder", f"others may look into {folder}", f"chmod o-rwx {folder}")
    else:
        yield good("data-folder", f"the data folder {folder} can be written")
    if abs(ahead) > _SKEW:
        found = f"the clock of the data folder is {ahead:+.0f} s off this machine's"
        yield warning("file-times", found, "run an NTP client, such as chrony, on both machines")


def _disk(settings: Settings) -> Iterator[Finding]:
    jobs = settings.folder / "jobs"  # it may be a disk of its own
    space = os.statvfs(jobs if jobs.exists() else settings.folder)
    free, fix = space.f_bavail * space.f_frsize, "make room, or move data.folder to a larger disk"
    found = f"{free / 1e9:.1f} GB are free for the jobs"
    if free < settings.data.reserve:
        yield broken("disk", f"{found}: no new jobs are taken (data.reserve)", fix)
    elif free < _LITTLE * space.f_blocks * space.f_frsize:
        yield warning("disk", f"only {found}", fix)
    elif space.f_files and space.f_favail < _LITTLE * space.f_files:
        yield warning("disk", f"{found}, but few files can be made", fix)
    else:
        yield good("disk", found)


def _database(settings: Settings) -> Iterator[Finding]:
    file = Path(settings.database_url.removeprefix("sqlite:///"))
    is_embedded = settings.database_url.startswith("sqlite:")
    if is_embedded and not file.exists():
        yield good("database", "the database is made when the server first starts")
        return
    if is_embedded and (kind := _file_system(file.parent)) in _SHARED:
        found = f"SQLite is kept on {kind}, where it may be torn"
        yield broken("database", found, "set database.url to a PostgreSQL: docs/configuration.md")
    with closing(Database(settings.database_url)) as database:
        answer = _answer(database)
        yield answer
        if answer.mark is Mark.GOOD:
            yield from _strays(Workspaces(settings.folder / "jobs"), database)


def _answer(database: Database) -> Finding:
    if trouble := look_once("the database", database.ping):
        return broken("database", trouble, "start the database, or correct database.url")
    try:
        require_schema(database)
    except SchemaError as error:
        return broken("database", str(error), "uwsd migrate")
    return good("database", "the database answers, and has this version's schema")


def _strays(workspaces: Workspaces, database: Database) -> Iterator[Finding]:
    """Find what only a database that was restored from a backup does not know."""
    old = workspaces.strays(older_than=time.time() - _FRESH)
    unknown = [one for one in old if workspaces.was_prepared(one) and not knows(database, one)]
    if unknown:
        found = (
            f"the database does not know {len(unknown)} jobs that have run, such as {unknown[0]}"
        )
        fix = f"save what is worth it from {workspaces.root}, then remove their folders"
        yield warning("strays", found, fix)


def _clock(settings: Settings) -> Iterator[Finding]:
    # Nothing here was written after now, unless the clock is behind.
    newest = Path(__file__).stat().st_mtime
    for entry in os.scandir(settings.folder):
        with suppress(FileNotFoundError):  # a draft
            newest = max(newest, entry.stat().st_mtime)
    if newest > time.time() + _SKEW:
        found = f"this machine's clock, {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}, is behind its files"
        yield broken("clock", found, "run an NTP client, such as chrony")
    else:
        yield good("clock", f"it is {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}, and no file is newer")


def _url(settings: Settings) -> Iterator[Finding]:
    server = settings.server
    if server.base_url.startswith("http://") and not server.is_desk:
        found = f"passwords and results travel in clear to {server.base_url}"
        yield warning("base-url", found, "serve https by a proxy, and say so in server.base_url")
    elif server.base_url or server.is_desk:
        yield good("base-url", f"clients reach it as {settings.public_url}")
    elif server.trusted_proxies:
        found = "clients are told the URL that the proxy names, and records hold none"
        yield warning("base-url", found, "set server.base_url to the public URL")
    else:
        found = f"it listens on {server.host}, and answers to none but loopback names"
        yield broken("base-url", found, "set server.base_url to the public URL")
    if (
        server.base_url.startswith("https://")
        and is_loopback(server.host)
        and not server.trusted_proxies
    ):
        fix = 'server.trusted_proxies = ["127.0.0.1"], if the proxy is on this machine'
        yield warning("proxy", "the log names the proxy in place of each client", fix)


def _users(settings: Settings) -> Iterator[Finding]:
    try:
        count = len(Users(settings.users_file).hashes())
    except UsersError as error:
        yield broken("users", f"nobody can log in: {error}", "uwsd check")
    else:
        yield good("users", f"{count} can log in with a name and a password")


def _supervisor(settings: Settings) -> Iterator[Finding]:
    beat = HeartbeatFile(settings.folder).read()
    fix = "systemctl start uwsd-supervisor, or `uwsd serve`; its log says why it ended"
    if beat is None:
        yield warning("supervisor", "no supervisor has been at work here yet", fix)
    elif (silent := times.now() - beat.at) > silence(settings.supervisor.tick):
        seconds = int(silent.total_seconds())
        yield broken("supervisor", f"the supervisor has said nothing for {seconds} s", fix)
    else:
        yield good("supervisor", f"the supervisor is at work since {times.to_text(beat.since)}")


def _drain(settings: Settings) -> Iterator[Finding]:
    drain = DrainFile(settings.folder).read()
    if drain is not None:
        since = times.to_text(drain.since)
        yield warning("drain", f"no new jobs are taken since {since}", "uwsd undrain")


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"


def _file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on, as the kernel names it."""
    best = ("", "")
    for line in Path("/proc/self/mounts").read_text("utf-8", errors="replace").splitlines():
        _, place, kind, *_ = line.split(" ")
        if folder.is_relative_to(place) and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]
