"""What engines say of jobs, and what is written down of it: phases, results, logs, progress."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from uwsd.backends.base import Backend, BackendError, Handle, Report, State, Unreachable
from uwsd.capabilities.base import Capability, MissingResult
from uwsd.reports import progressed, told
from uwsd.steps import each
from uwsd.uws.job import LOGS, Job, Result
from uwsd.uws.rows import Execution
from uwsd.uws.store import JobStore
from uwsd.uws.workspace import Workspaces
from uwsd.uws.xmltext import legible
from uwsd.watch import Watch

_LOG_TYPE = "text/plain; charset=utf-8"
_LAST_WORDS = 4096  # bytes of stderr
_log = logging.getLogger(__name__)


class Outcomes:
    """Asks the engines, and keeps what becomes of the jobs. It may forget what it remembers."""

    def __init__(
        self,
        *,
        store: JobStore,
        workspaces: Workspaces,
        capabilities: Mapping[str, Capability],
        backends: Mapping[str, Backend],
        watch: Watch,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._capabilities = capabilities
        self._backends = backends
        self._watch = watch
        self._clock = clock
        self._limits: dict[Handle, int] = {}  # what each engine was last told

    def ask(self, executions: Iterable[Execution]) -> None:
        """Ask each backend one question for all its jobs, and write down the answers."""
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
            each(((handles[h], h, name, r) for h, r in reports.items()), self._hear)

    def ask_progress(self) -> None:
        """Ask how far the running jobs are, where that costs little."""
        each(self._watch.running, self._ask_progress)

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
