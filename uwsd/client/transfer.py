"""Results and logs on their way to this side: to files, or to whoever shows them."""

import fnmatch
import mimetypes
import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from uwsd.client import jobs
from uwsd.client.documents import RemoteJob, RemoteResult
from uwsd.client.errors import LocalFile, NotUws, Refused
from uwsd.client.web import Web

SUFFIXES = {
    "application/fits": ".fits",
    "application/x-ipynb+json": ".ipynb",
    "application/x-votable+xml": ".vot",
    "image/fits": ".fits",
    "text/plain": ".txt",
}
"""Media types of this field, which Python does not know or not on every machine."""

_LOGS = ("stdout", "stderr", "log", "*.log")


def choose(job: RemoteJob, ids: Collection[str] = ()) -> tuple[RemoteResult, ...]:
    """Return the results of those ids, or all of them."""
    if missing := set(ids) - {result.id for result in job.results}:
        raise Refused(f"{job.url} ({job.phase}) has no result {', '.join(sorted(missing))}")
    if not job.results:
        raise Refused(f"{job.url} has no results: {job.summary}")
    return tuple(result for result in job.results if not ids or result.id in ids)


def download(
    web: Web, results: Collection[RemoteResult], folder: Path, *, force: bool = False
) -> Iterator[Path]:
    """Bring results into ``folder`` and yield each file once it is there, whole.

    Raises `LocalFile` where there is a file already (unless ``force``), `NotUws` when what came
    is not of the size that was announced.
    """
    taken: set[str] = set()
    for result in results:
        name = _file_name(result, taken)
        taken.add(name.casefold())
        path = folder / name
        if (path.exists() or path.is_symlink()) and not force:
            raise LocalFile(f"{path} is there already; --force overwrites it")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _save(web, result, path)
        except OSError as error:
            raise LocalFile(f"{path} cannot be written: {error.strerror}") from error
        yield path


def _file_name(result: RemoteResult, taken: Collection[str]) -> str:
    """Make a name that stays in its folder, is not hidden, and that no other result has."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", result.id).lstrip("._-")[:100] or "result"
    media_type = (result.media_type or "").partition(";")[0].strip().lower()
    if not Path(name).suffix:
        name += SUFFIXES.get(media_type) or mimetypes.guess_extension(media_type) or ""
    stem, suffix, number = Path(name).stem, Path(name).suffix, 2
    while name.casefold() in taken:
        name, number = f"{stem}-{number}{suffix}", number + 1
    return name


def _save(web: Web, result: RemoteResult, path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".uwsd-", dir=path.parent) as scratch:
        part = Path(scratch, "part")
        with part.open("wb") as file:
            file.writelines(web.chunks(result.url))
        size = part.stat().st_size
        if result.size not in {None, size}:
            raise NotUws(f"{result.url} gave {size} bytes, but its job says {result.size}")
        part.replace(path)


def copy_logs(
    web: Web, url: str, write: Callable[[str, bytes], None], *, follow: bool = False
) -> None:
    """Give what the job has logged to ``write``, with the id of the result it is from.

    With ``follow``, goes on until the job is over. A failed job that logged nothing gives its error
    document instead (UWS 2.2.2.5). Raises `Refused` when there is nothing of the kind.
    """
    read, pause = dict[str, int](), 1.0
    job = jobs.read(web, url)
    while True:
        before = sum(read.values())
        for log in _logs(job):
            for chunk in web.chunks(log.url, read.setdefault(log.url, 0), may_lack=True):
                write(log.id, chunk)
                read[log.url] += len(chunk)
        if job.phase.is_over or not follow:
            break
        pause = 1.0 if sum(read.values()) > before else min(pause * 1.5, 10.0)
        job = jobs.later(web, job, pause)
    if job.error is not None and not any(read.values()):
        write("error", _error(web, job, job.error))
    elif not read:
        raise Refused(f"{job.url} ({job.phase}) has no log")


def _logs(job: RemoteJob) -> Iterator[RemoteResult]:
    for result in job.results:
        if any(fnmatch.fnmatch(result.id.lower(), pattern) for pattern in _LOGS):
            yield result


def _error(web: Web, job: RemoteJob, summary: str) -> bytes:
    answer = web.get(f"{job.url}/error", accept="text/plain, */*;q=0.1", but=(404,))
    return answer.content if answer.ok else f"{summary}\n".encode()
