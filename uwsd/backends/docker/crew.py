"""What an engine takes its time for, done in the background: one thing a job at a time."""

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from uwsd.backends.base import BackendError, Report, State, TaskRefused, Unreachable
from uwsd.backends.docker.engine import GPUS, INSTANCE, JOB, HalfStarted, NameTaken, NoImage
from uwsd.backends.docker.images import Pulls
from uwsd.backends.docker.orders import Held, Order
from uwsd.backends.docker.settings import STARTED, host_settings, settings
from uwsd.backends.docker.shared import Shared
from uwsd.backends.docker.states import STAGES, Stage
from uwsd.backends.names import key
from uwsd.backends.workspace import hand_over

_AT_ONE_TIME = 8
_TRIES = 6  # in all, within half a minute
_LONGEST = 15.0  # seconds between two
_ENGINE_IS_ILL = re.compile("connection (error|refused)|unavailable|deadline|no space left")
"""What an engine says when it can start nothing at all: that is no job's failure."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a job could not be started yet."""

    message: str
    tries: int
    again: float  #: when it is tried again, on the monotonic clock


class Crew:
    """Starts, ends and removes the containers of one backend."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._options = shared.options
        self._engine = shared.engine
        self._orders = shared.orders
        self.pulls = Pulls(shared.engine, shared.bell)
        self._pool = ThreadPoolExecutor(_AT_ONE_TIME, thread_name_prefix="docker")
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._beginning: dict[str, Sequence[str]] = {}
        self._troubles: dict[str, Trouble] = {}

    def soon(self, look: Callable[[], object]) -> None:
        """Let somebody look around; one such wish is as good as many."""
        self._do("", look)

    @property
    def busy(self) -> Set[str]:
        """The jobs for which something is being done."""
        with self._lock:
            return frozenset(self._busy)

    @property
    def beginning(self) -> Mapping[str, Sequence[str]]:
        """The jobs that are being started, and the GPUs they get."""
        return self._beginning.copy()

    def trouble(self, job: str) -> Trouble | None:
        """Return why a job could not be started yet, if that was tried."""
        return self._troubles.get(job)

    def begin(self, job: str, gpus: Sequence[str]) -> None:
        """Make the container of a job, and start it."""
        self._beginning[job] = gpus
        if not self._do(job, lambda: self._begin(job, gpus)):
            del self._beginning[job]

    def kill(self, job: str, container: str, signal: str) -> bool:
        """Send a signal to a job; return whether there is nothing else to do for it first."""
        return self._do(job, lambda: self._engine.kill(container, signal))

    def visit(self, job: str, container: str) -> None:
        """See that the engine has not missed a job's end."""
        self._do(job, lambda: self._engine.look_after(container))

    def withdraw(self, job: str, container: str, report: Report) -> None:
        """Remove a container that has not been started; that is the end of the job."""
        self._do(job, lambda: self._withdraw(job, container, report))

    def discard(self, job: str, container: str) -> None:
        """Remove the container of a job whose last word has been written down."""
        self._do(job, lambda: self._engine.remove(container))

    def remove(self, job: str) -> None:
        """Remove the container of a job, also while it runs; waits until it is gone."""
        known = self._engine.inspect(key(self._shared.root, job))
        if known is not None and self._is_ours(known):
            self._engine.remove(known["Id"])

    def forget(self, jobs: Collection[str]) -> None:
        """Keep in mind only the troubles of these jobs."""
        self._troubles = {j: t for j, t in self._troubles.items() if j in jobs}

    def _do(self, job: str, step: Callable[[], object]) -> bool:
        with self._lock:
            if job in self._busy:
                return False
            self._busy.add(job)
        self._pool.submit(self._carry_out, job, step)
        return True

    def _carry_out(self, job: str, step: Callable[[], object]) -> None:
        try:
            step()
        except BackendError as error:
            _log.debug("job %s: %s; will try again", job, error)
        except Exception:  # noqa: BLE001 - it is logged, and the others go on
            _log.exception("job %s: will try again", job)
        finally:
            self._beginning.pop(job, None)
            with self._lock:
                self._busy.discard(job)
            self._shared.bell.ring()

    def _begin(self, job: str, gpus: Sequence[str]) -> None:
        try:
            with self._orders.holding(job, within=0):
                order = self._orders.get(job)
                if order is not None and not order.stop:
                    self._start(job, order, gpus)
        except NoImage as error:
            self._get_image(job, str(error))
        except TaskRefused as refusal:
            self._give_up(job, str(refusal))
        except (Unreachable, Held):
            raise
        except BackendError as error:
            self._try_again(job, str(error))

    def _start(self, job: str, order: Order, gpus: Sequence[str]) -> None:
        container = self._make(job, order, gpus)
        if container is None:
            return
        workspace = self._shared.root / job
        try:
            (workspace / "run").mkdir(mode=0o700, exist_ok=True)
            hand_over(workspace, *map(int, self._options.user.split(":")))
        except OSError as error:
            raise BackendError(f"its workspace cannot be prepared: {error}") from error
        # Written down first: of a start that nobody saw answered, it is known that it may be.
        if self._orders.ask_to_start(job):
            try:
                self._engine.start(container)
            except HalfStarted:
                self._start_over(job, container)
                raise

    def _start_over(self, job: str, container: str) -> None:
        """Make way for another container, unless the command has run in this one."""
        if not (self._shared.root / job / STARTED).exists():
            self._engine.remove(container)
            self._orders.change(job, starting=0)

    def _make(self, job: str, order: Order, gpus: Sequence[str]) -> str | None:
        """Return the container of a job, made now or before; None if it has been started."""
        name, workspace = key(self._shared.root, job), self._shared.root / job
        labels = {**self._shared.labels, JOB: job, GPUS: ",".join(gpus)}
        labels |= {"uwsd.service": order.task.service, "uwsd.user": order.task.user}
        try:
            return self._engine.create(
                name,
                settings(order.task, workspace, self._options, labels),
                host_settings(order.task, workspace, self._options, gpus),
            )
        except NameTaken:
            known = self._engine.inspect(name)
        if known is None:
            raise BackendError(f"the container {name} is just being removed")
        if not self._is_ours(known):
            raise TaskRefused(f"the engine has a container {name} that is not this server's")
        is_made = STAGES.get(known["State"]["Status"]) is Stage.MADE
        return str(known["Id"]) if is_made else None

    def _is_ours(self, known: Mapping[str, Any]) -> bool:
        labels = known["Config"]["Labels"] or {}
        return bool(labels.get(INSTANCE) == self._shared.labels[INSTANCE])

    def _get_image(self, job: str, words: str) -> None:
        order = self._orders.get(job)
        if order is None:
            return
        image = self._options.image_of(order.task)
        latest = self.pulls.latest(image)
        if self._options.pull == "never":
            self._give_up(job, f"the engine does not have the image {image}, and pulls none")
        elif latest is not None and latest.outcome == "done" and latest.since > order.since:
            self._give_up(job, f"the image {image} was pulled, and yet {words}")
        else:
            self.pulls.begin(image)

    def _withdraw(self, job: str, container: str, report: Report) -> None:
        with self._orders.holding(job, within=0):
            self._engine.remove(container)
            self._orders.close(job, report)

    def _give_up(self, job: str, message: str, *, transient: bool = False) -> None:
        report = Report(state=State.FAILED, message=message, transient=transient)
        self._orders.close(job, report)

    def _try_again(self, job: str, message: str) -> None:
        before = self._troubles.get(job)
        tries = before.tries + 1 if before else 1
        if tries >= _TRIES and not _ENGINE_IS_ILL.search(message):
            self._give_up(job, message, transient=True)
            return
        again = time.monotonic() + min(2.0 ** min(tries - 1, _TRIES), _LONGEST)
        self._troubles[job] = Trouble(message=message, tries=tries, again=again)
        self._shared.bell.ring_at(again)
