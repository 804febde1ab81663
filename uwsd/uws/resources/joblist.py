"""``/{jobs}``: list the jobs, make a new one. UWS 1.1 sections 2.2.2.1 and 2.2.3.1."""

import re

from flask import Response

from uwsd.uws.documents import jobs_document
from uwsd.uws.errors import BadRequest
from uwsd.uws.form import Form
from uwsd.uws.listing import PAGE, Filters
from uwsd.uws.phase import Phase
from uwsd.uws.resources.blueprint import job_lists, job_url, jobs, list_url, see, uws, xml
from uwsd.uws.resources.body import read_form, read_query
from uwsd.uws.times import parse


@uws.get("")
def get_jobs() -> Response:
    """List the caller's jobs, newest first, through PHASE, AFTER and LAST."""
    filters = filters_in(read_query(job_lists().limits))
    document = jobs_document(jobs().find(filters), list_url())
    if filters.last is not None and filters.last <= PAGE:
        return xml(b"".join(document))  # in one piece: that is quicker, and can still fail
    return xml(document)


@uws.post("")
def create_job() -> Response:
    """Make a job; with ``PHASE=RUN`` it starts at once."""
    form = read_form(job_lists().limits, jobs().joblist.limits.max_upload)
    return see(job_url(jobs().create(form).id))


def filters_in(query: Form) -> Filters:
    """Read the filters of a list; refuse what is no filter instead of ignoring it."""
    after, last = query.only("AFTER"), query.only("LAST")
    try:
        return Filters(
            phases=tuple(dict.fromkeys(phase_named(text) for text in query.all("PHASE"))),
            after=None if after is None else parse(after),
            last=None if last is None else _last(last),
        )
    except ValueError as error:
        raise BadRequest(f"AFTER: {error}") from None


def phase_named(text: str) -> Phase:
    """Return the phase of exactly that name."""
    try:
        return Phase(text)
    except ValueError:
        raise BadRequest(f"PHASE takes {', '.join(Phase)}, not {text[:40]!r}") from None


def _last(text: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,17}", text):
        raise BadRequest(f"LAST takes a whole number above 0, not {text[:40]!r}")
    return int(text)
