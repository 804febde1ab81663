"""The one process that talks to backends: it makes so what clients have asked for.

The database is the queue and the only truth. A tick may be killed anywhere and run again:
nothing is lost, doubled or stuck.
"""

import logging
import select
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from uwsd.backends.base import Backend, BackendError, Handle, TaskRefused
from uwsd.capabilities.base import Capability
from uwsd.database import DATABASE_FAULTS, log_fault
from uwsd.outcomes import Outcomes
from uwsd.steps import each
from uwsd.uws import times
from uwsd.uws.errors import BadRequest, Unavailable, WrongPhase
from uwsd.uws.feed import FeedBroken, Listener
from uwsd.uws.job import LOGS, ErrorSummary, Job
from uwsd.uws.phase import Event
from uwsd.uws.rows import Execution, Want
from uwsd.uws.store import JobStore
from uwsd.uws.workspace import Workspaces
from uwsd.watch import PACE, Watch

_STRAY_AGE = 3600.0
_PAUSE = 0.01  # seconds between two ticks at the least
_LENIENCE = timedelta(seconds=2)  # the engine enforces the limit; this is the net
_log = logging.getLogger(__name__)


class Supervisor:
    """Gives tasks to backends and writes down what becomes of them."""

    def __init__(
        self,
        *,
        store: JobStore,
        workspaces: Workspaces,
        capabilities: Mapping[str, Capability],
        backends: Mapping[str, Backend],
        archive: bool = False,
        require_room: Callable[[], None] = lambda: None,
        watch: Watch | None = None,
        clock: Callable[[], datetime] = times.now,
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._capabilities = capabilities
        self._backends = backends
        self._archive = archive
        self._require_room = require_room
        self._lacks_room = False
        self._clock = clock
        self._watch = watch or Watch()
        self._outcomes = Outcomes(
            store=store,
            workspaces=workspaces,
            capabilities=capabilities,
            backends=backends,
            watch=self._watch,
            clock=clock,
        )
        self._next_sweep = 0.0

    def tick(self) -> None:
        """Look once at everything that is not as it should be, and see to it."""
        now = self._clock()
        each(self._store.expired(now), self._expire)
        each(self._store.overdue(now - _LENIENCE), self._stop_overdue)
        each(self._store.unsettled(), self._attend)
        self._outcomes.ask(
            e for e in self._store.unsettled() if e.handle and e.want is not Want.FORGET
        )

    def run(
        self,
        listener: Listener,
        stop: int,
        *,
        net: float,
        require_alone: Callable[[], None] = lambda: None,
        afterwards: Callable[[], None] = lambda: None,
    ) -> None:
        """Tick whenever something has happened, and every ``net`` seconds in any case.

        Returns once the file descriptor ``stop`` is readable. ``require_alone`` is called
        before each tick, and raises when somebody else may be the supervisor now;
        ``afterwards`` is called after each.
        """
        while not _is_readable(stop):
            began = time.monotonic()
            require_alone()
            try:
                self.tick()
                self._sweep()
                afterwards()
                self._sleep((listener.fileno(), stop, *self._wakeups()), net)
                listener.changed()
            except FeedBroken as broken:
                _log.warning("%s; looking at everything", broken)
                time.sleep(1)
            except DATABASE_FAULTS as fault:
                log_fault(_log, fault, "will try again")
                time.sleep(1)
            time.sleep(max(0.0, began + _PAUSE - time.monotonic()))

    def _attend(self, execution: Execution) -> None:
        match execution:
            case Execution(want=Want.FORGET):
                self._forget(execution)
            case Execution(want=Want.STOP):
                self._stop(execution)
            case Execution(handle=None) if self._has_room():
                self._submit(execution)

    def _has_room(self) -> bool:
        """Whether jobs may be handed over; those that are, are looked after in any case."""
        lacked, self._lacks_room = self._lacks_room, False
        try:
            self._require_room()
        except Unavailable as why:
            self._lacks_room = True
            if not lacked:
                _log.warning("no job is handed over: %s", why)
        return not self._lacks_room

    def _submit(self, execution: Execution) -> None:
        job = self._store.load(execution.job_id)
        if job.phase.is_over:  # aborted a moment ago, or refused by one who was killed then
            self._stop(execution)
            return
        try:
            capability = self._capability(job.service)
            workspace = self._workspaces.prepare(job.id)
            for name in LOGS:  # they are results from the start, and so they are there
                (workspace / "logs" / name).touch(mode=0o600)
            task = capability.task(job, workspace)
            # The intent is written down first: a crash from here on leaves a job to look for.
            self._store.note(job.id, backend=capability.backend)
            handle = self._backends[capability.backend].submit(task)
        except (TaskRefused, BadRequest) as refusal:
            self._fail(job.id, str(refusal))
        else:
            self._store.note(job.id, handle=handle)
            # DALI 1.2 section 4.3.6: the RUNID is kept in the log.
            _log.info("job %s of %s is handed over, RUNID %r", job.id, job.service, job.run_id)

    def _capability(self, service: str) -> Capability:
        if service not in self._capabilities:
            raise TaskRefused(f"the service {service} is not offered here any more")
        return self._capabilities[service]

    def _fail(self, job_id: str, message: str) -> None:
        def edit(job: Job) -> Job:
            failed = job.on(Event.FAIL, at=self._clock())
            return replace(failed, error=ErrorSummary(message=message))

        self._store.change(None, job_id, edit)
        self._store.settle(job_id)

    def _stop(self, execution: Execution) -> None:
        found = self._found(execution)
        if found is None:
            self._store.settle(execution.job_id)  # it was stopped before it was handed over
            return
        backend, handle = found
        self._store.note(execution.job_id, handle=handle)
        backend.cancel(handle)

    def _forget(self, execution: Execution) -> None:
        found = self._found(execution)
        if found is not None:
            backend, handle = found
            backend.release(handle)
        self._watch.drop(execution.job_id)
        if not self._workspaces.remove(execution.job_id):
            raise BackendError("some of its files cannot be removed")
        self._store.drop(execution.job_id)

    def _found(self, execution: Execution) -> tuple[Backend, Handle] | None:
        backend = self._backends.get(execution.backend or "")
        if backend is None:
            return None
        handle = execution.handle or backend.find(execution.job_id)
        return None if handle is None else (backend, Handle(handle))

    def _stop_overdue(self, job_id: str) -> None:
        def edit(job: Job) -> Job:
            if job.deadline is None or job.deadline > self._clock():
                raise WrongPhase("it has more time now")
            error = ErrorSummary(message=f"it ran for longer than {job.duration} s")
            return replace(job.on(Event.ABORT, at=self._clock()), error=error)

        self._store.change(None, job_id, edit, want=Want.STOP)

    def _expire(self, job_id: str) -> None:
        def check(job: Job) -> None:
            if job.destruction is None or job.destruction > self._clock():
                raise WrongPhase("its destruction time has been moved")

        def archived(job: Job) -> Job:
            check(job)
            if not job.phase.is_over:
                job = job.on(Event.ABORT, at=self._clock())
            return replace(job.on(Event.ARCHIVE, at=self._clock()), results=())

        if self._archive:
            self._store.change(None, job_id, archived, want=Want.FORGET)
        else:
            self._store.forget(None, job_id, check)

    def _sweep(self) -> None:
        """Remove the folders of jobs that never came to be, as after a crash during a POST."""
        if time.monotonic() < self._next_sweep:
            return
        self._next_sweep = time.monotonic() + _STRAY_AGE
        for job_id in self._workspaces.strays(older_than=time.time() - _STRAY_AGE):
            if self._store.knows(job_id):
                continue
            if self._workspaces.was_prepared(job_id):
                # Perhaps the database is older than the job: restored from a backup.
                _log.warning("the database does not know job %s; its files are left", job_id)
            else:
                _log.info("removing the files of %s, which nobody knows", job_id)
                self._workspaces.remove(job_id)

    def _wakeups(self) -> list[int]:
        return [fd for backend in self._backends.values() for fd in backend.wakeups()]

    def _sleep(self, descriptors: Iterable[int], net: float) -> None:
        """Sleep until something happens; look at the progress of the jobs that run meanwhile."""
        due = self._store.next_deadline()
        if due is not None:
            net = min(net, max(0.0, (due - self._clock()).total_seconds()))
        poller = select.poll()
        for descriptor in descriptors:
            poller.register(descriptor, select.POLLIN)
        end = time.monotonic() + net
        while (rest := end - time.monotonic()) > 0:
            if poller.poll(1000 * (min(rest, PACE) if self._watch.running else rest)):
                return
            self._outcomes.ask_progress()


def _is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
