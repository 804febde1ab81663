"""The commands for people who have work to be done: ``uwsd submit``, ``jobs``, ``logs``, ..."""

import os
import re
import sys
from functools import partial
from pathlib import Path

import click

from uwsd.client import jobs, transfer
from uwsd.client.arguments import file, instant, pair, url
from uwsd.client.command import Command
from uwsd.client.documents import RemoteJob
from uwsd.client.errors import Interrupted, JobAborted, JobFailed
from uwsd.client.platforms.commands import platforms
from uwsd.client.terminal import outlet, show_jobs, tell, watching
from uwsd.client.web import Files, Pairs, Web
from uwsd.uws.phase import Phase

_HELP = """\
SERVICE is the URL of a job list of any UWS server, or of a service that has its list at /async,
or the name of a service of the platform at $UWSD_URL (http://127.0.0.1:8080 if unset).
JOB is the URL of a job.

Credentials: $UWSD_TOKEN is sent as a bearer token to the host of $UWSD_URL or, when that is
unset, of the SERVICE or JOB; --user asks for a password; else ~/.netrc is read.

\b
Exit status:
    0  done; the job is COMPLETED
    1  the job ended in ERROR
    2  wrong usage, or a file on this side stands in the way
    3  the job was aborted, or is archived
    4  the server refused, or has no such thing
    5  the server cannot be reached, or is no UWS
  130  interrupted (Ctrl-C); the job goes on
"""


_command = partial(click.command, cls=Command, epilog=_HELP)
_job = click.argument("job", type=url, metavar="JOB")
_user = click.option("--user", metavar="NAME", help="Log in as NAME; asks for the password.")
_force = click.option("--force", is_flag=True, help="Overwrite files that are there already.")


@_command()
@click.argument("service")
@click.argument("parameters", nargs=-1, type=pair, metavar="[NAME=VALUE]...")
@click.option(
    "--file", "files", multiple=True, type=file, metavar="NAME=PATH", help="Send a file along."
)
@click.option("--run/--no-run", default=True, help="Start the job, or leave it PENDING.")
@click.option("--duration", type=click.IntRange(0), metavar="S", help="Seconds it may run.")
@click.option("--run-id", metavar="TEXT", help="A name of your own for the job.")
@click.option("--wait", "waits", is_flag=True, help="Wait until the job is over.")
@click.option(
    "--download", metavar="DIR", type=click.Path(path_type=Path), help="Wait; fetch all results."
)
@_force
@_user
def submit(
    *,
    service: str,
    parameters: Pairs,
    files: Files,
    run: bool,
    duration: int | None,
    run_id: str | None,
    waits: bool,
    download: Path | None,
    force: bool,
    user: str | None,
) -> None:
    """Create a job at SERVICE and start it; print its URL."""
    if not run and (waits or download):
        raise click.UsageError("a job that is not started is not worth waiting for")
    web, joblist = _service(service, user)
    names = [("RUNID", run_id)] if run_id else []
    job = jobs.create(web, joblist, [*parameters, *names], files)
    click.echo(job)
    sys.stdout.flush()  # whatever comes, a script has the URL
    if duration is not None:
        jobs.limit(web, job, duration)
    if run:
        jobs.run(web, job)
    if waits or download:
        _see_through(web, job, download, force=force)


@_command(name="wait")
@_job
@_user
def wait_(job: str, user: str | None) -> None:
    """Wait until JOB is over."""
    _see_through(_web(job, user), job)


@_command(name="jobs")
@click.argument("service", required=False)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice(list(Phase), case_sensitive=False),
    help="Only jobs in this phase, or in one of these.",
)
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the N newest.")
@click.option("--after", type=instant, metavar="TIME", help="Only jobs created after this, in UTC.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_user
def jobs_(
    *,
    service: str | None,
    phases: tuple[Phase, ...],
    last: int | None,
    after: str | None,
    as_json: bool,
    user: str | None,
) -> None:
    """List your jobs at SERVICE, or at every service of the platform.

    In a pipe: a line a job; phase, creation time, run id and URL, separated by tabs.
    """
    if service:
        web, joblist = _service(service, user)
        lists: tuple[str, ...] = (joblist,)
    else:
        web = _web(_platform(), user)
        lists = jobs.platform_lists(web, _platform())
    found = [
        job
        for joblist in lists
        for job in jobs.listing(web, joblist, phases=phases, after=after, last=last)
    ]
    if len(lists) > 1:
        found = sorted(found, key=lambda job: job.created or "", reverse=True)[:last]
    show_jobs(found, as_json=as_json)


@_command()
@_job
@click.option("--follow", "-f", is_flag=True, help="Go on until the job is over.")
@_user
def logs(*, job: str, follow: bool, user: str | None) -> None:
    """Print what JOB has written to its stdout and stderr, to the same here.

    Of other servers: results that are called a log; else why the job failed.
    """
    streams = {"stderr": outlet(sys.stderr)}
    default = outlet(sys.stdout)
    try:
        transfer.copy_logs(
            _web(job, user), job, lambda id_, data: streams.get(id_, default)(data), follow=follow
        )
    except KeyboardInterrupt:
        raise Interrupted(f"the job goes on: uwsd logs --follow {job}") from None


@_command()
@_job
@click.argument("results", nargs=-1, metavar="[RESULT]...")
@click.option(
    "--download",
    "-o",
    metavar="DIR",
    default=".",
    help="Where to put the files; - writes the one RESULT to stdout.",
)
@_force
@_user
def fetch(
    *, job: str, results: tuple[str, ...], download: str, force: bool, user: str | None
) -> None:
    """Download the RESULTs of JOB, or all of them; print the names of the files."""
    web = _web(job, user)
    chosen = transfer.choose(jobs.read(web, job), results)
    if download != "-":
        for path in transfer.download(web, chosen, Path(download), force=force):
            click.echo(path)
        return
    if len(chosen) != 1:
        raise click.UsageError(f"say which: {', '.join(result.id for result in chosen)!r}")
    write = outlet(sys.stdout)
    for chunk in web.chunks(chosen[0].url):
        write(chunk)


@_command()
@_job
@_user
def abort(job: str, user: str | None) -> None:
    """Stop JOB; what it has made so far is kept."""
    jobs.abort(_web(job, user), job)


@_command()
@_job
@_user
def delete(job: str, user: str | None) -> None:
    """Stop JOB if it runs, and remove it with all its results."""
    _web(job, user).delete(job)


COMMANDS: tuple[click.Command, ...] = (submit, jobs_, wait_, logs, fetch, abort, delete, platforms)
"""What ``uwsd`` offers to the users of job services."""


def _service(service: str, user: str | None) -> tuple[Web, str]:
    if re.fullmatch(r"[\w.-]+", service):
        joblist = f"{_platform()}/{service}/async"
        return _web(joblist, user), joblist
    base = url(service)
    web = _web(base, user)
    return web, jobs.find_list(web, base)


def _platform() -> str:
    return url(os.environ.get("UWSD_URL") or "http://127.0.0.1:8080")


def _web(target: str, user: str | None) -> Web:
    if user is not None:
        password = click.prompt(f"Password of {user}", hide_input=True, err=True, type=str)
        return Web(target, login=(user, password))
    # A token is for one site: naming another one must not give it away.
    home = _platform() if os.environ.get("UWSD_URL") else target
    return Web(home, token=os.environ.get("UWSD_TOKEN", "").strip())


def _see_through(
    web: Web, job_url: str, folder: Path | None = None, *, force: bool = False
) -> None:
    """Wait for the end of the job, bring what it made to ``folder``, fail as it failed."""
    try:
        with watching() as on_change:
            job = jobs.wait(web, job_url, on_change)
    except KeyboardInterrupt:
        raise Interrupted(f"the job goes on: uwsd wait {job_url}") from None
    if folder is not None and job.results:
        for path in transfer.download(web, job.results, folder, force=force):
            tell(str(path))
    _fail_as(job)


def _fail_as(job: RemoteJob) -> None:
    match job.phase:
        case Phase.ERROR:
            raise JobFailed(f"{job.url}: {job.summary}")
        case Phase.ABORTED | Phase.ARCHIVED:
            raise JobAborted(f"{job.url}: {job.summary}")
