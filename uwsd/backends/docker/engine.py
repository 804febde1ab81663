"""Docker's API, or Podman's: the few questions that are asked, and what their errors mean.

An engine that does not answer, refuses to know us or has had enough of us is `Unreachable`; what
it says of one container is about that container's job alone.
"""

import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, ImageNotFound, StreamParseError
from docker.utils import kwargs_from_env

from uwsd.backends.base import BackendError, TaskRefused, Unreachable

JOB, INSTANCE, BACKEND, GPUS = "uwsd.job", "uwsd.instance", "uwsd.backend", "uwsd.gpus"
"""The labels of a container that the backend itself looks at."""

_ITS_OWN = frozenset((401, 403, 407, 429, 502, 503, 504))  # a proxy before the engine, too
_STREAM = 600  # seconds a stream of events lasts, lest one that is dead be believed for ever
_PATIENCE = 5.0
_PAUSE = 0.05
_SILENT = (
    *(DockerException, StreamParseError, requests.RequestException),
    *(urllib3.exceptions.HTTPError, OSError, ValueError),
)


class Gone(BackendError):
    """There is no such container, or no such network."""


class NoImage(BackendError):
    """The image is not on the engine."""


class NameTaken(BackendError):
    """There is a container of that name."""


class HalfStarted(BackendError):
    """The engine or its containerd was killed in the midst of a start; it takes no second one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A line of the engine's list of containers."""

    id: str
    job: str
    word: str  #: the engine's own for its state
    gpus: tuple[str, ...]


class Engine:
    """One engine, asked by any thread."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._idle: list[docker.APIClient] = []
        weakref.finalize(self, _close, self._idle)
        self.failed_at = 0.0  #: when it did not answer last, on the monotonic clock

    def ping(self) -> None:
        """Raise `Unreachable` unless somebody answers."""
        with self._asking() as client:
            client.ping()

    def listed(self, labels: Mapping[str, str]) -> Mapping[str, Listed]:
        """Return all containers with these labels, by job: one question."""
        with self._asking() as client:
            found = client.containers(all=True, filters=_filters(labels))
        lines = [_line(entry) for entry in found]
        return {line.job: line for line in lines}

    def inspect(self, container: str) -> Mapping[str, Any] | None:
        """Return all there is to know about a container, or None if there is none."""
        with suppress(Gone), self._asking() as client:
            known: Mapping[str, Any] = client.inspect_container(container)
            return known
        return None

    def create(self, name: str, settings: Mapping[str, Any], host: Mapping[str, Any]) -> str:
        """Make a container; return its id. Raises `NoImage`, `NameTaken`, or `TaskRefused`."""
        with self._asking() as client:
            try:
                host_config = client.create_host_config(**host)
                made = client.create_container(name=name, host_config=host_config, **settings)
            except ImageNotFound as error:
                raise NoImage(_words(error)) from error
            except APIError as error:
                _tell_apart(error, taken=409)
                raise
            return str(made["Id"])

    def start(self, container: str) -> None:
        """Start a container. Raises `TaskRefused`, or `HalfStarted`, if that will never be."""
        with self._asking() as client:
            try:
                client.start(container)
            except APIError as error:
                if "already exists" in _words(error):
                    raise HalfStarted(_words(error)) from error
                _tell_apart(error)
                raise

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to a container, if it runs."""
        with self._asking() as client:
            try:
                client.kill(container, signal)
            except APIError as error:
                if error.status_code not in (404, 409):
                    raise

    def look_after(self, container: str) -> None:
        """Let the engine notice that a container has ended, if it has missed that.

        It does when containerd cannot tell it for long. It looks when a signal is sent; this one
        means nothing to whoever runs, and is sent only if nobody does.
        """
        with self._asking() as client:
            is_empty = not client.top(container)["Processes"]
        if is_empty:
            self.kill(container, "SIGCONT")

    def remove(self, container: str) -> None:
        """End and remove a container, if it is there. Raises `BackendError` if that takes long."""
        deadline = time.monotonic() + _PATIENCE
        with suppress(Gone):
            while not self._is_removed(container):
                if time.monotonic() > deadline:
                    raise BackendError(f"the container {container[:12]} is still being removed")
                time.sleep(_PAUSE)

    def _is_removed(self, container: str) -> bool:
        with self._asking() as client:
            try:
                client.remove_container(container, v=True, force=True)
            except APIError as error:
                if error.status_code == 409:  # somebody else is at it
                    return False
                raise
            return True

    def complaint(self, container: str) -> str:
        """Return the last line of a container's own log: what its entrypoint has said."""
        with suppress(Gone), self._asking() as client:
            log = client.logs(container, tail=1).decode(errors="replace").strip()
            return str(log)[:500]
        return ""

    def pull(self, image: str) -> Iterator[Mapping[str, Any]]:
        """Fetch an image; yield what the engine tells of it. Raises `BackendError`."""
        with self._asking() as client:
            try:
                yield from client.pull(image, stream=True, decode=True)
            except APIError as error:
                _tell_apart(error, never=404)
                raise

    def events(self, labels: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Yield what happens to containers with these labels, until the stream ends."""
        until = int(time.time()) + _STREAM
        with self._asking() as client:
            filters = {**_filters(labels), "type": "container"}
            yield from client.events(until=until, decode=True, filters=filters)

    @contextmanager
    def _asking(self) -> Iterator[docker.APIClient]:
        """Give a client that nobody else uses meanwhile."""
        client = None
        try:
            client = self._client()
            yield client
        except APIError as error:
            if error.status_code in _ITS_OWN:
                raise self._unreachable(error) from error
            # Podman has words of its own while it removes a container.
            is_gone = error.status_code == 404 or "no such container" in _words(error)
            kind = Gone if is_gone else BackendError
            raise kind(f"the engine says: {_words(error)}") from error
        except _SILENT as error:
            # The next question goes through a new client: the engine may be of another version.
            _close([client] if client else [])
            client = None
            raise self._unreachable(error) from error
        finally:
            if client is not None:
                self._idle.append(client)

    def _client(self) -> docker.APIClient:
        with suppress(IndexError):
            return self._idle.pop()
        return docker.APIClient(version="auto", timeout=self._timeout, **self._place())

    def _place(self) -> Mapping[str, Any]:
        return {"base_url": self._url} if self._url else kwargs_from_env()

    def _unreachable(self, error: Exception) -> Unreachable:
        self.failed_at = time.monotonic()
        where = self._place().get("base_url", "its usual socket")
        return Unreachable(f"the engine at {where} does not answer: {_words(error)}")


def _close(clients: Iterable[docker.APIClient]) -> None:
    for client in clients:
        client.close()


def _filters(labels: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    return {"label": [f"{name}={value}" for name, value in labels.items()]}


def _line(entry: Mapping[str, Any]) -> Listed:
    labels = entry["Labels"]
    return Listed(
        id=entry["Id"],
        job=labels.get(JOB, ""),
        word=entry["State"],
        gpus=tuple(filter(None, labels.get(GPUS, "").split(","))),
    )


def _tell_apart(error: APIError, *, taken: int = 0, never: int = 0) -> None:
    """Raise what an answer means for a job, if it is about the job."""
    # Podman 4 has another status for it, and the same words.
    if taken and (error.status_code == taken or "already in use" in _words(error)):
        raise NameTaken(_words(error)) from error
    if error.status_code in (400, never):
        raise TaskRefused(f"the engine says: {_words(error)}") from error


def _words(error: BaseException) -> str:
    """Return the shortest true text there is in an error and its causes."""
    if isinstance(error, APIError) and error.explanation:
        return str(error.explanation)
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    inner = [argument for argument in error.args if isinstance(argument, BaseException)]
    for cause in (*inner, error.__cause__ or error.__context__):
        if cause is not None:
            yield from _causes(cause)
