"""The verbs of a client, for one caller and one job list (UWS 1.1 section 2.2.3)."""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from uwsd.uws import times
from uwsd.uws.access import (
    AnonymousRights,
    Caller,
    allow,
    allow_creation,
    allow_fetch,
    sees_jobs,
)
from uwsd.uws.errors import BadRequest, Forbidden, NotFound, Unavailable, WrongPhase
from uwsd.uws.form import CONTROLS, Form
from uwsd.uws.job import ErrorSummary, ErrorType, Job, JobRef, Source
from uwsd.uws.joblist import JobList
from uwsd.uws.listing import Filters
from uwsd.uws.parameters import Inputs, about, merged
from uwsd.uws.phase import Event, Phase
from uwsd.uws.rows import Want
from uwsd.uws.store import JobStore, Stamp
from uwsd.uws.waiting import Waiting
from uwsd.uws.workspace import Workspaces
from uwsd.uws.xmltext import fits_xml

_MAX_RUN_ID = 64
_SHORT_WAIT = 30
"""Seconds up to which a WAIT lasts exactly as long as asked."""
_LOOK = 1.0
"""Seconds between two looks whether the client of a synchronous job is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobService:
    """What ``caller`` can do with the jobs of ``joblist``."""

    joblist: JobList
    caller: Caller
    rights: AnonymousRights
    store: JobStore
    workspaces: Workspaces
    waiting: Waiting
    admit: Callable[[], None] = lambda: None  #: raises `Unavailable` while no job is taken
    require_room: Callable[[], None] = lambda: None  #: raises `Unavailable` while none can run
    max_wait: int = 55  #: seconds after which a longer WAIT is answered all the same
    clock: Callable[[], datetime] = times.now

    def create(self, form: Form, *, start: bool = False) -> Job:
        """Make a job, and start it at once with ``start`` or ``PHASE=RUN`` (2.2.3.1)."""
        self.require_creation()
        start = _wants_start(form) or start
        if form.all("ACTION"):  # a client that POSTs again after the 303 of a deletion
            raise BadRequest("ACTION is for a job; POST it to the job's URL")
        job = self._new(form)
        with self._inputs(job.id, form) as inputs:
            job = replace(job, parameters=inputs.parameters, info=inputs.info)
            if start:
                self._require_all(job, BadRequest)
                job = job.on(Event.RUN, at=job.created)
            self.store.add(job, want=Want.RUN if start else None)
        return job

    def require_creation(self) -> None:
        """Raise unless the caller may make jobs here, and now: known before a body is read."""
        allow_creation(self.caller, self.rights)
        self.admit()
        self.require_room()

    def stamp(self, job_id: str) -> Stamp:
        """Return what has to be known of a job before an answer may come from a cache."""
        stamp = self.store.stamp(self.joblist.name, job_id)
        allow(self.caller, stamp.owner)
        return stamp

    def get(self, job_id: str) -> Job:
        """Return a job (2.2.2.2)."""
        return self._allowed(self.store.get(self.joblist.name, job_id))

    def find(self, filters: Filters) -> Iterator[JobRef]:
        """Return the caller's jobs, newest first (2.2.2.1)."""
        if not sees_jobs(self.caller, self.rights):
            return iter(())
        return self.store.find(self.joblist.name, filters, owner=self.caller.name)

    def wait(self, job_id: str, seconds: int, phase: Phase | None) -> Stamp:
        """Return when the job changes, is not in ``phase``, or time is up (2.2.1.2)."""
        until = time.monotonic() + self._patience(seconds)
        began: Stamp | None = None
        while True:
            with self.waiting.subscribe(job_id) as change:
                now = self.stamp(job_id)
                began = began or now
                # PostgreSQL's word of an earlier change may come late: it is none for this WAIT.
                is_other = now.version != began.version or phase not in (None, now.phase)
                if is_other or not now.phase.may_block or self.waiting.is_closed:
                    return now
                if not self.waiting.hold(change, until - time.monotonic()):
                    return self.stamp(job_id)

    def see_through(self, job_id: str, has_gone: Callable[[], bool]) -> Job:
        """Return the job when it is over, and abort it when its client has gone (DALI 1.2, 2.2).

        No WAIT's limit counts here; the job's own duration does. Raises `Unavailable` when
        this process is about to end: then the job goes on.
        """
        while True:
            with self.waiting.subscribe(job_id) as change:
                if self.stamp(job_id).phase.is_over:
                    return self.get(job_id)
                if self.waiting.is_closed:
                    raise Unavailable("this server stops")
                while not change.wait(_LOOK):
                    if has_gone():
                        self._give_up(job_id)

    def run(self, job_id: str) -> Job:
        """Commit the job for execution: ``PHASE=RUN`` (2.2.3.5)."""
        self.require_room()

        def start(job: Job) -> Job:
            started = job.on(Event.RUN, at=self.clock())
            self._require_all(job, Forbidden)
            return started

        return self._change(job_id, start, want=Want.RUN)

    def abort(self, job_id: str, error: ErrorSummary | None = None) -> Job:
        """Stop the job and keep what it has made: ``PHASE=ABORT`` (2.2.3.6)."""

        def stop(job: Job) -> Job:
            return replace(job.on(Event.ABORT, at=self.clock()), error=error)

        return self._change(job_id, stop, want=Want.STOP)

    def destroy(self, job_id: str) -> None:
        """Stop the job and forget it, with all it has made (2.2.3.2)."""
        self.store.forget(self.joblist.name, job_id, lambda job: allow(self.caller, job.owner))

    def set_destruction(self, job_id: str, text: str) -> Job:
        """Set the destruction time, as far as the service's limits go (2.2.3.3)."""

        def edit(job: Job) -> Job:
            if job.phase is Phase.ARCHIVED:
                raise WrongPhase("a job that is ARCHIVED keeps its destruction time")
            return replace(job, destruction=self._destruction(text))

        return self._change(job_id, edit)

    def set_duration(self, job_id: str, text: str) -> Job:
        """Set the execution duration, as far as the service's limits go (2.2.3.4)."""

        def edit(job: Job) -> Job:
            if job.phase.is_over:
                raise WrongPhase(f"a job that is {job.phase} will not run; its duration is settled")
            return replace(job, duration=self._duration(text))

        return self._change(job_id, edit)

    def set_parameters(self, job_id: str, form: Form) -> Job:
        """Add parameters, or replace those of the same names, while PENDING (DALI 1.2, 2.1)."""
        misplaced = {name.upper() for name, _ in form.fields} & CONTROLS - {"RUNID", "UPLOAD"}
        if misplaced:
            raise BadRequest(f"{min(misplaced)} is no parameter of the job; POST it to its own URL")
        job = self._require_pending(self.get(job_id))
        with self._inputs(job_id, form) as inputs:

            def edit(job: Job) -> Job:
                self._require_pending(job)
                parameters = merged(job.parameters, inputs.parameters)
                info = about(parameters, self.joblist.check(parameters))
                run_id = _run_id(form) if form.all("RUNID") else job.run_id
                return replace(job, parameters=parameters, run_id=run_id, info=info)

            changed = self._change(job_id, edit)
        self._discard_replaced(job, changed)
        return changed

    def replace_parameter(self, job_id: str, name: str, form: Form) -> Job:
        """Replace the value of a parameter that is there, while PENDING (2.1.11: PUT)."""
        if self._require_pending(self.get(job_id)).parameter(name) is None:
            raise NotFound(f"the job has no parameter {name}; POST it to /parameters")
        return self.set_parameters(job_id, form)

    def _give_up(self, job_id: str) -> None:
        why = "it was aborted because the client of the synchronous request went away"
        with suppress(WrongPhase):  # it has just ended
            self.abort(job_id, ErrorSummary(message=why, type=ErrorType.TRANSIENT))

    def _new(self, form: Form) -> Job:
        at = self.clock()
        limits = self.joblist.limits
        duration, destruction = form.only("EXECUTIONDURATION"), form.only("DESTRUCTION")
        ends = at + timedelta(seconds=limits.default_destruction)
        return Job(
            id=str(uuid.uuid4()),
            service=self.joblist.name,
            owner=self.caller.name,
            run_id=_run_id(form),
            created=at,
            duration=limits.default_duration if duration is None else self._duration(duration),
            destruction=ends if destruction is None else self._destruction(destruction),
        )

    @contextmanager
    def _inputs(self, job_id: str, form: Form) -> Iterator[Inputs]:
        with Inputs(self.joblist, self.workspaces, job_id, form) as inputs:
            if any(p.source is Source.REMOTE for p in inputs.parameters):
                allow_fetch(self.caller, self.rights)
            yield inputs

    def _change(self, job_id: str, edit: Callable[[Job], Job], *, want: Want | None = None) -> Job:
        def allowed(job: Job) -> Job:
            return edit(self._allowed(job))

        return self.store.change(self.joblist.name, job_id, allowed, want=want)

    def _allowed(self, job: Job) -> Job:
        allow(self.caller, job.owner)
        return job

    def _require_all(self, job: Job, refusal: type[BadRequest | Forbidden]) -> None:
        missing = self.joblist.missing(job)
        if missing:
            raise refusal(f"{' and '.join(missing)} must be given before the job can run")

    def _require_pending(self, job: Job) -> Job:
        if job.phase is not Phase.PENDING:
            raise WrongPhase(f"a job that is {job.phase} keeps its parameters")
        return job

    def _discard_replaced(self, was: Job, now: Job) -> None:
        kept = {p.path for p in now.parameters}
        for parameter in was.parameters:
            if parameter.path is not None and parameter.path not in kept:
                self.workspaces.discard(was.id, parameter.path)

    def _destruction(self, text: str) -> datetime:
        try:
            asked = times.parse(text)
        except ValueError as error:
            raise BadRequest(f"DESTRUCTION: {error}") from None
        return self.joblist.limits.destruction(asked, at=self.clock())

    def _duration(self, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise BadRequest(
                f"EXECUTIONDURATION takes whole seconds, 0 for no limit, not {text[:40]!r}"
            )
        return self.joblist.limits.duration(int(text))

    def _patience(self, seconds: int) -> float:
        # Thousands of WAITs that were opened together must not end together.
        longest = random.uniform(min(_SHORT_WAIT, self.max_wait), self.max_wait)  # noqa: S311
        return longest if seconds < 0 else min(seconds, longest)


def _wants_start(form: Form) -> bool:
    phase = form.only("PHASE")
    if phase not in (None, "RUN"):
        raise BadRequest(f"PHASE of a new job can only be RUN, not {phase[:40]!r}")
    return phase is not None


def _run_id(form: Form) -> str | None:
    run_id = form.only("RUNID") or None  # an empty field of a page is none
    if run_id is not None and (len(run_id) > _MAX_RUN_ID or not fits_xml(run_id)):
        raise BadRequest(f"RUNID takes up to {_MAX_RUN_ID} characters that XML can hold")
    return run_id
