"""Jobs in containers of a Docker or Podman engine."""

import time
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote

from uwsd.backends.base import Backend, Handle, Progress, Report, State, Task, TaskRefused
from uwsd.backends.docker.bell import Bell, follow
from uwsd.backends.docker.crew import Crew
from uwsd.backends.docker.engine import BACKEND, INSTANCE, Engine
from uwsd.backends.docker.options import Options
from uwsd.backends.docker.orders import CANCEL, Orders, problems
from uwsd.backends.docker.reference import is_reference
from uwsd.backends.docker.rounds import Rounds
from uwsd.backends.docker.shared import Shared
from uwsd.backends.inputs import Inputs
from uwsd.backends.names import instance
from uwsd.backends.progress import read_progress
from uwsd.backends.workspace import FOLDER_NAME, check, lay_out

_PATIENCE = 10.0  # seconds for a start that is going on to be over, when its job is released
_PING = 5.0  # seconds for which an engine that has answered is taken to be there

_NOBODY = Report(state=State.LOST, message="there is no such job")
_ILLEGIBLE = Report(state=State.UNKNOWN, message="what was written down of it cannot be read")


class DockerBackend(Backend):
    """A backend on one engine. A handle is the job's id."""

    def __init__(self, name: str, options: Options, root: Path) -> None:
        root = root.absolute()
        self._shared = shared = Shared(
            options=options,
            root=root,
            labels={INSTANCE: instance(root), BACKEND: name},
            engine=Engine(options.url, options.timeout),
            orders=Orders(root / f".docker-{quote(name, safe='')}"),
            inputs=Inputs(root, name),
            bell=Bell(),
        )
        self._orders = shared.orders
        self._crew = Crew(shared)
        self._rounds = Rounds(shared, self._crew)
        self._is_following = False
        self._pinged = float("-inf")

    def submit(self, task: Task) -> Handle:
        """Write the order down; its container is made and started in the background."""
        _check(task, self._shared.options)
        job = Handle(task.job_id)
        with self._orders.alone(), problems():
            if not self._orders.has(job):
                lay_out(task, self._shared.root / job)
                self._orders.add(task)
        if task.fetch and (order := self._orders.get(job)) and order.fetching:
            self._shared.inputs.fetch(task)
        self._crew.soon(self._rounds.look)
        return job

    def poll(self, handles: Collection[Handle]) -> Mapping[Handle, Report]:
        """Do what is to be done for any job, then report on every handle asked about."""
        self._shared.bell.silence()
        reports = self._rounds.look()
        return {handle: reports.get(handle) or self._last_word(handle) for handle in handles}

    def cancel(self, handle: Handle) -> None:
        """Write down that the job is to end; in the background it is asked to, then made to."""
        if self._has(handle) and self._orders.ask_to_stop(handle, CANCEL):
            self._crew.soon(self._rounds.look)

    def release(self, handle: Handle) -> None:
        """Remove the job's container, and what was written down; waits until it is gone."""
        if not self._has(handle):
            return
        self._orders.ask_to_stop(handle, CANCEL)  # nobody starts it from here on
        order = self._orders.get(handle)
        if order is not None and order.fetching:
            self._shared.inputs.forget(handle)
        with self._orders.holding(handle, within=_PATIENCE):
            self._crew.remove(handle)
            self._orders.drop(handle)

    def find(self, job_id: str) -> Handle | None:
        """Return the id itself, if an order was written down."""
        return Handle(job_id) if self._has(job_id) else None

    def amend(self, handle: Handle, duration: int) -> None:
        """Let the job run for ``duration`` seconds in all (0: no limit), from now on."""
        order = self._orders.get(handle) if self._has(handle) else None
        if order is not None and order.duration != duration:
            self._orders.change(handle, duration=duration)
            self._shared.bell.ring()

    def progress(self, handle: Handle) -> Progress | None:
        """Read the job's own file."""
        return read_progress(self._shared.root / handle) if self._has(handle) else None

    def wakeups(self) -> Collection[int]:
        """Return the bell, and the workers that fetch inputs."""
        if not self._is_following:
            self._is_following = True
            follow(lambda: self._shared.engine.events(self._shared.labels), self._shared.bell)
        return (self._shared.bell.descriptor, *self._shared.inputs.wakeups())

    def check(self) -> str | None:
        """Raise `Unreachable` when the engine does not answer; it is asked every few seconds."""
        if time.monotonic() - self._pinged > _PING:
            self._shared.engine.ping()
            self._pinged = time.monotonic()
        return None

    def _has(self, job: str) -> bool:
        return FOLDER_NAME.fullmatch(job) is not None and self._orders.has(job)

    def _last_word(self, handle: Handle) -> Report:
        if not self._has(handle):
            return _NOBODY
        return self._orders.last_word(handle) or _ILLEGIBLE


def _check(task: Task, options: Options) -> None:
    """Raise `TaskRefused` if the task can never run on the engine."""
    check(task)
    try:
        "".join((*task.command, *task.environment, *task.environment.values())).encode()
    except UnicodeEncodeError:
        raise TaskRefused("a container takes arguments and variables in UTF-8 only") from None
    if task.gpus > len(options.gpus):
        raise TaskRefused(f"{task.gpus} GPUs are asked for, and there are {len(options.gpus)} here")
    image = options.image_of(task)
    if not image:
        raise TaskRefused("the service names no image, and the backend has none of its own")
    if not is_reference(image):
        raise TaskRefused(f"{image!r} cannot be the name of an image")
    if options.allowed and not any(fnmatchcase(image, pattern) for pattern in options.allowed):
        raise TaskRefused(f"the image {image} is not allowed here")
