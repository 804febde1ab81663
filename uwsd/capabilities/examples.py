"""The examples of a service: each is checked as if a client had sent it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from uwsd.capabilities.base import Capability, Example
from uwsd.uws.errors import UwsError
from uwsd.uws.form import Form
from uwsd.uws.job import Job
from uwsd.uws.parameters import Inputs
from uwsd.uws.workspace import Workspaces
from uwsd.uws.xmltext import fits_xml


def refusals(service: Capability) -> Iterator[tuple[Example, str]]:
    """Yield the examples that the service would not run, and why not."""
    for example in service.examples:
        if why := _refusal(service, example):
            yield example, why


def _refusal(service: Capability, example: Example) -> str | None:
    known = {p.name.upper() for p in service.parameters}
    for name, value in example.parameters:
        if name.upper() not in known:
            return f"{name} is no parameter of the service"
        if not fits_xml(value):
            return f"{name} has a character that an XML document cannot hold"
    form = Form(fields=example.parameters)
    try:
        # An example has no files of its own: nothing is kept, nowhere.
        with Inputs(service, Workspaces(Path()), "", form) as inputs:
            job = Job(id="", service=service.name, created=_NEVER, parameters=inputs.parameters)
            missing = service.missing(job)
    except UwsError as refusal:
        return str(refusal)
    return f"{' and '.join(missing)} must be given" if missing else None


_NEVER = datetime.min.replace(tzinfo=UTC)
