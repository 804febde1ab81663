"""The one process that talks to backends: it makes so what clients have asked for.

The database is the queue and the only truth. A tick may be killed anywhere and run again:
nothing is lost, doubled or stuck.
"""

import logging
import select
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from uwsd.backends.base import (
    Backend,
    BackendError,
    Handle,
    Report,
    State,
    TaskRefused,
    Unreachable,
)
from uwsd.capabilities.base import Capability, MissingResult
from uwsd.database import DATABASE_FAULTS
from uwsd.reports import progressed, told
from uwsd.uws import times
from uwsd.uws.errors import BadRequest, UwsError, WrongPhase
from uwsd.uws.feed import FeedBroken, Listener
from uwsd.uws.job import LOGS, ErrorSummary, Job, Result
from uwsd.uws.phase import Event
from uwsd.uws.rows import Execution, Want
from uwsd.uws.store import JobStore
from uwsd.uws.workspace import Workspaces
from uwsd.uws.xmltext import legible
from uwsd.watch import PACE, Watch

_LOG_TYPE = "text/plain; charset=utf-8"
_LAST_WORDS = 4096  # bytes of stderr
_STRAY_AGE = 3600.0
_PAUSE = 0.01  # seconds between two ticks at the least
_LENIENCE = timedelta(seconds=2)  # the engine enforces the limit; this is the net
_T = TypeVar("_T")
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
        clock: Callable[[], datetime] = times.now,
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._capabilities = capabilities
        self._backends = backends
        self._archive = archive
        self._clock = clock
        self._limits: dict[Handle, int] = {}  # what each engine was last told
        self._watch = Watch()
        self._next_sweep = 0.0

    def tick(self) -> None:
        """Look once at everything that is not as it should be, and see to it."""
        now = self._clock()
        self._each(self._store.expired(now), self._expire)
        self._each(self._store.overdue(now - _LENIENCE), self._stop_overdue)
        self._each(self._store.unsettled(), self._attend)
        self._poll(e for e in self._store.unsettled() if e.handle and e.want is not Want.FORGET)

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
            except DATABASE_FAULTS:
                _log.exception("the database cannot be used; will try again")
                time.sleep(1)
            time.sleep(max(0.0, began + _PAUSE - time.monotonic()))

    def _each(self, items: Iterable[_T], step: Callable[[_T], None]) -> None:
        """One job that cannot be seen to must not keep the others from it."""
        for item in items:
            try:
                step(item)
            except UwsError as error:
                _log.info("%s: overtaken: %s", item, error)
            except Unreachable as error:  # the engine's silence is logged once, not for each job
                _log.debug("%s: %s; will try again", item, error)
            except BackendError as error:
                _log.warning("%s: %s; will try again", item, error)
            except DATABASE_FAULTS:
                raise
            except Exception:  # noqa: BLE001 - it is logged, and the others go on
                _log.exception("%s: will try again", item)

    def _attend(self, execution: Execution) -> None:
        match execution:
            case Execution(want=Want.FORGET):
                self._forget(execution)
            case Execution(want=Want.STOP):
                self._stop(execution)
            case Execution(handle=None):
                self._submit(execution)

    def _submit(self, execution: Execution) -> None:
        job = self._store.load(execution.job_id)
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
        self._workspaces.remove(execution.job_id)
        self._store.drop(execution.job_id)

    def _found(self, execution: Execution) -> tuple[Backend, Handle] | None:
        backend = self._backends.get(execution.backend or "")
        if backend is None:
            return None
        handle = execution.handle or backend.find(execution.job_id)
        return None if handle is None else (backend, Handle(handle))

    def _poll(self, executions: Iterable[Execution]) -> None:
        """Ask each backend one question for all its jobs."""
        asked: dict[str, dict[Handle, Execution]] = defaultdict(dict)
        for execution in executions:
            asked[execution.backend or ""][Handle(execution.handle or "")] = execution
        for name, handles in asked.items():
            try:
                reports = self._backends[name].poll(handles)
            except Unreachable:
                continue
            except (BackendError, KeyError) as error:
                _log.warning("backend %s cannot be asked: %s", name, error)
                continue
            self._each(((handles[h], h, name, r) for h, r in reports.items()), self._hear)

    def _hear(self, news: tuple[Execution, Handle, str, Report]) -> None:
        execution, handle, name, report = news
        report = replace(report, facts={**report.facts, "backend": name})
        job = self._store.load(execution.job_id)
        if not report.state.is_over:
            self._keep_limit(job, handle, name)
        if report.state.is_over or self._is_news(job, told(job, report, at=self._clock())):
            self._store.change(None, job.id, lambda job: self._after(job, report))
        if report.state.is_over:
            self._store.settle(job.id)
            self._limits.pop(handle, None)
            self._watch.drop(job.id)
        elif report.state is State.RUNNING:
            self._watch.add(execution)

    def _is_news(self, was: Job, now: Job) -> bool:
        """Whether to write it down at once: what jobInfo alone tells can wait a little."""
        return now.differs_from(was) or (now != was and self._watch.may_write(was.id))

    def _ask_progress(self, execution: Execution) -> None:
        job_id, backend = execution.job_id, self._backends[execution.backend or ""]
        progress = backend.progress(Handle(execution.handle or ""))
        if progress is None or self._watch.has_heard(job_id, progress):
            return
        if self._watch.may_write(job_id):
            self._store.change(None, job_id, lambda job: progressed(job, progress))
            self._watch.heard(job_id, progress)

    def _after(self, job: Job, report: Report) -> Job:
        """Return the job after a report, with what it has made so far."""
        results: tuple[Result, ...] = ()
        capability = self._capabilities.get(job.service)
        if report.state.is_over and capability is not None:
            try:
                results = tuple(capability.results(self._workspaces.outputs(job.id)))
            except MissingResult as missing:
                results = missing.found
                if report.state is State.DONE:
                    report = replace(report, state=State.FAILED, message=str(missing))
            report = self._explained(job, report, capability)
        job = told(job, report, at=self._clock())
        if job.started is None:
            return job
        return replace(job, results=results + self._logs(job.id, report.state.is_over))

    def _explained(self, job: Job, report: Report, capability: Capability) -> Report:
        """Return the report of a command that ended badly with its own account of that."""
        if report.state is not State.FAILED or not report.exit_code:
            return report
        said = self._workspaces.tail(job.id, "logs/stderr", _LAST_WORDS)
        return replace(report, message=legible(capability.cause(said)) or report.message)

    def _logs(self, job_id: str, final: bool) -> tuple[Result, ...]:
        return tuple(
            Result(
                id=name,
                path=f"logs/{name}",
                media_type=_LOG_TYPE,
                size=self._workspaces.size(job_id, f"logs/{name}") if final else None,
            )
            for name in LOGS
        )

    def _keep_limit(self, job: Job, handle: Handle, name: str) -> None:
        """Tell the engine of a new duration: a client may change it until the job is over."""
        if self._limits.get(handle) != job.duration:
            self._backends[name].amend(handle, job.duration)
            self._limits[handle] = job.duration

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
            if not self._store.knows(job_id):
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
            running = self._watch.running
            if poller.poll(1000 * (min(rest, PACE) if running else rest)):
                return
            self._each(running, self._ask_progress)


def _is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
