"""What a client does with jobs: create, start, read, wait for, stop (UWS 1.1 section 2.2)."""

import math
import time
from collections.abc import Callable, Collection

from requests.utils import requote_uri

from uwsd.client.documents import (
    ListedJob,
    RemoteJob,
    absolute,
    is_list,
    job_lists,
    read_job,
    read_list,
)
from uwsd.client.errors import NotUws
from uwsd.client.web import PATIENCE, Files, Pairs, Web
from uwsd.uws.phase import Phase

_LONGEST = 25.0  # seconds between two looks: under the 30 after which many a proxy cuts a WAIT
_HELD = 0.9  # an answer that took so long was held back: the server is to be asked again at once
_WAITING_PATIENCE = 600.0  # whoever waits for hours does not give up for a network that is down


def find_list(web: Web, url: str) -> str:
    """Return the URL of the job list at ``url``, or at ``url``/async (DALI 1.2 section 2).

    A list that its server will not show, but that is named as one, may still take jobs.
    """
    url = url.rstrip("/")
    for candidate in (url, f"{url}/async"):
        answer = web.get(candidate, [("LAST", "1")], but=(400, 401, 403, 404, 405, 406))
        if is_list(answer.content):
            return answer.url.partition("?")[0].rstrip("/")
        if answer.status_code in {401, 403} and candidate.endswith("/async"):
            return candidate
    raise NotUws(f"{url} is no UWS job list, and neither is {url}/async")


def platform_lists(web: Web, url: str) -> tuple[str, ...]:
    """Return the job lists that the VOSI capabilities of the platform at ``url`` name."""
    found = job_lists(web.get(f"{url}/capabilities").content)
    if not found:
        raise NotUws(f"{url}/capabilities names no job list: say which service")
    return tuple(one.rstrip("/") for one in found)


def listing(
    web: Web,
    joblist: str,
    *,
    phases: Collection[Phase] = (),
    after: str | None = None,
    last: int | None = None,
) -> tuple[ListedJob, ...]:
    """Return the jobs of a list, through the filters of 2.2.2.1; servers of 1.0 have none."""
    params = [("PHASE", str(phase)) for phase in phases]
    params += [("AFTER", after)] if after else []
    params += [("LAST", str(last))] if last else []
    found = read_list(web.get(joblist, params).content, joblist)
    return tuple(job for job in found if not phases or job.phase in phases)


def create(web: Web, joblist: str, parameters: Pairs, files: Files = ()) -> str:
    """Create a job, PENDING, and return its URL (2.2.3.1)."""
    answer = web.post(joblist, parameters, files)
    location = answer.headers.get("Location")
    if location is None:  # against the standard; some answer with the job itself
        location = f"{joblist}/{read_job(answer.content, joblist).id}"
    return requote_uri(absolute(joblist, location)).rstrip("/")


def limit(web: Web, job: str, seconds: int) -> None:
    """Ask for another execution duration, which the server may change (2.2.3.4)."""
    web.post(f"{job}/executionduration", [("EXECUTIONDURATION", str(seconds))])


def run(web: Web, job: str) -> None:
    """Start a job (2.2.3.5)."""
    web.post(f"{job}/phase", [("PHASE", "RUN")])


def abort(web: Web, job: str) -> None:
    """Stop a job and keep what it has made (2.2.3.6)."""
    web.post(f"{job}/phase", [("PHASE", "ABORT")])


def read(web: Web, job: str, *, patience: float = PATIENCE) -> RemoteJob:
    """Read a job."""
    return read_job(web.get(job, patience=patience).content, job)


def later(web: Web, job: RemoteJob, seconds: float) -> RemoteJob:
    """Read a job again in so many seconds, or once its phase changes if the server can tell.

    A server of 1.1 holds the line (WAIT, 2.2.1.2), but in some phases only, and not for ever.
    """
    began = time.monotonic()
    if job.knows_wait:
        params = [("WAIT", str(math.ceil(seconds))), ("PHASE", str(job.phase))]
        answer = web.get(job.url, params, patience=_WAITING_PATIENCE)
        latest = read_job(answer.content, job.url)
        if latest.phase is not job.phase or time.monotonic() - began > _HELD:
            return latest
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    return read(web, job.url, patience=_WAITING_PATIENCE)


def wait(web: Web, url: str, on_change: Callable[[RemoteJob], None]) -> RemoteJob:
    """Wait until the job is over; tell of each change."""
    job, pause = read(web, url), 1.0
    on_change(job)
    while not job.phase.is_over:
        before, job = job, later(web, job, pause)
        if job.summary != before.summary:
            on_change(job)
        pause = min(pause * 1.5, _LONGEST) if job.phase is before.phase else 1.0
    return job
