"""The jobs that have not been started: what each waits for, and whose turn it is."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from uwsd.backends.base import Handle, Report, State
from uwsd.backends.docker.crew import Crew
from uwsd.backends.docker.engine import Listed
from uwsd.backends.docker.orders import Order
from uwsd.backends.docker.shared import Shared
from uwsd.backends.docker.states import STAGES, Stage
from uwsd.backends.line import in_line

STARTING = Report(state=State.WAITING, message="it is being started")
_FETCHING = Report(state=State.WAITING, message="its inputs are being fetched")
_HOLDS_SLOT = (Stage.RUNNING, Stage.PAUSED)
_HOLDS_GPUS = (Stage.MADE, *_HOLDS_SLOT)


class Line:
    """Who comes first is served first; only those in line who could start keep others waiting."""

    def __init__(self, shared: Shared, crew: Crew) -> None:
        self._options = shared.options
        self._orders = shared.orders
        self._inputs = shared.inputs
        self._crew = crew

    def wait(self, job: str, order: Order, fetched: Report | None) -> Report | None:
        """Say what a job without a container waits for beside its turn; None if nothing."""
        return (
            self._inputs_of(job, order, fetched) or self._image_of(job, order) or self.trouble(job)
        )

    def serve(
        self, ready: Sequence[tuple[str, Order]], listed: Mapping[str, Listed]
    ) -> Mapping[str, Report]:
        """Start the jobs that are ready, as far as there are slots and GPUs; report on all."""
        slots, gpus = self._free(listed)
        reports: dict[str, Report] = {}
        waiting, is_gpu_wanted = 0, False
        for job, order in ready:
            wanted = order.task.gpus
            own = listed[job].gpus if job in listed else tuple(gpus[:wanted])
            if slots <= 0:
                reports[job] = _waits(in_line(waiting, self._options.slots))
                waiting += 1
            elif wanted and job not in listed and (is_gpu_wanted or len(own) < wanted):
                is_gpu_wanted = True
                reports[job] = _waits(f"it waits for {wanted} of {len(self._options.gpus)} GPUs")
            else:
                self._crew.begin(job, own)
                slots -= 1
                gpus = [gpu for gpu in gpus if gpu not in own]
                reports[job] = STARTING
        return reports

    def trouble(self, job: str) -> Report | None:
        """Say why a job could not be started and is not tried yet again; None if it can be."""
        trouble = self._crew.trouble(job)
        if trouble is None or trouble.again <= time.monotonic():
            return None
        return _waits(f"it could not be started yet: {trouble.message}")

    def close(self, job: str, order: Order, report: Report) -> Report:
        """Write down the last word about a job without a container."""
        if order.fetching:
            self._inputs.forget(Handle(job))
        self._orders.close(job, report)
        return report

    def _free(self, listed: Mapping[str, Listed]) -> tuple[int, Sequence[str]]:
        beginning = self._crew.beginning
        stages = {job: STAGES.get(line.word) for job, line in listed.items()}
        busy = beginning.keys() | {job for job, stage in stages.items() if stage in _HOLDS_SLOT}
        held = {gpu for gpus in beginning.values() for gpu in gpus}
        for job, line in listed.items():
            held.update(line.gpus if stages[job] in _HOLDS_GPUS else ())
        gpus = [gpu for gpu in self._options.gpus if gpu not in held]
        return self._options.slots - len(busy), gpus

    def _inputs_of(self, job: str, order: Order, fetched: Report | None) -> Report | None:
        if not order.fetching:
            return None
        report = fetched or _FETCHING
        if report.state is State.DONE:
            self._inputs.forget(Handle(job))
            self._orders.change(job, fetching=False)
            return None
        if report.state is State.LOST:  # its worker is gone, or never was
            self._inputs.forget(Handle(job))
            self._inputs.fetch(order.task)
        elif report.state.is_over:
            return self.close(job, order, replace(report, facts={}))
        return _FETCHING

    def _image_of(self, job: str, order: Order) -> Report | None:
        image, pulls = self._options.image_of(order.task), self._crew.pulls
        pull = pulls.latest(image)
        if self._options.pull == "always" and (pull is None or pull.since < order.since):
            pulls.begin(image)
            pull = pulls.latest(image)
        if pull is None or pull.outcome == "done":
            return None
        if not pull.outcome:
            return _waits(pull.describe(image))
        if pull.since < order.since:
            return None  # it came after that, and may try its luck
        message = f"the image {image} cannot be pulled: {pull.trouble}"
        transient = not pull.will_never_be
        report = Report(state=State.FAILED, message=message, transient=transient)
        return self.close(job, order, report)


def _waits(message: str) -> Report:
    return Report(state=State.WAITING, message=message)
