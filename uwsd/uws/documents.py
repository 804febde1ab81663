"""The XML of UWS: ``job``, ``jobs``, ``results``, ``parameters``, in the schema's order.

The namespace stays v1.0 for 1.1 (appendix B). Prefixes are literally ``uws:``, ``xlink:``
and ``xsi:``, since well-known clients do no namespace processing.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from lxml import etree
from lxml.builder import ElementMaker
from lxml.etree import _Element

from uwsd.uws.job import ErrorSummary, Job, JobRef, Parameter, Result, Source
from uwsd.uws.times import to_text
from uwsd.uws.xmltext import fits_xml, legible

UWS = "http://www.ivoa.net/xml/UWS/v1.0"
XLINK = "http://www.w3.org/1999/xlink"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
JOB_INFO = "urn:uwsd:jobinfo:1"
"""The namespace of what jobInfo tells; `docs/standards.md` lists its elements."""

_E = ElementMaker(namespace=UWS, nsmap={"uws": UWS, "xlink": XLINK, "xsi": XSI})
_INFO = ElementMaker(namespace=JOB_INFO, nsmap={"uwsd": JOB_INFO})
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_CHUNK = 500


def job_document(job: Job, url: str) -> bytes:
    """Write ``<uws:job>``, the answer of the job at ``url`` (2.2.2.2)."""
    root = _E.job(_E.jobId(job.id), version="1.1")
    if job.run_id is not None:
        root.append(_E.runId(job.run_id))
    root.extend(
        (
            _nillable("ownerId", job.owner),
            _E.phase(job.phase),
            _instant("quote", job.quote),
            _E.creationTime(to_text(job.created)),
            _instant("startTime", job.started),
            _instant("endTime", job.ended),
            _E.executionDuration(str(job.duration)),
            _instant("destruction", job.destruction),
            _parameters(job.parameters, url),
            _results(job.results, url),
        )
    )
    if job.error is not None:
        root.append(_error_summary(job.error))
    if job.info:
        root.append(_job_info(job.info))
    return _serialize(root)


def results_document(job: Job, url: str) -> bytes:
    """Write ``<uws:results>`` (2.2.2.3). The schema gives it no version attribute."""
    return _serialize(_results(job.results, url))


def parameters_document(job: Job, url: str) -> bytes:
    """Write ``<uws:parameters>`` (2.2.2.4). The schema gives it no version attribute."""
    return _serialize(_parameters(job.parameters, url))


def jobs_document(refs: Iterable[JobRef], url: str) -> Iterator[bytes]:
    """Write ``<uws:jobs>``, the list at ``url``, piece by piece (2.2.2.1).

    A list may have a million entries: this one document is written as escaped strings, which
    takes a quarter of the time of a tree.
    """
    yield (
        _DECLARATION
        + (
            f'<uws:jobs xmlns:uws="{UWS}" xmlns:xlink="{XLINK}" xmlns:xsi="{XSI}" version="1.1">\n'
        ).encode()
    )
    piece = []
    href = escape(url, {'"': "&quot;"})
    for ref in refs:
        piece.append(_job_ref(ref, href))
        if len(piece) == _CHUNK:
            yield "".join(piece).encode()
            piece = []
    yield ("".join(piece) + "</uws:jobs>\n").encode()


def parameter_url(job_url: str, name: str) -> str:
    """Return the URL of one parameter of the job at ``job_url``."""
    return f"{job_url}/parameters/{quote(name, safe='')}"


def result_url(job_url: str, result_id: str) -> str:
    """Return the URL of one result of the job at ``job_url``."""
    return f"{job_url}/results/{quote(result_id, safe='')}"


def _job_ref(ref: JobRef, href: str) -> str:
    """Write one entry; ``href`` is the list's URL, escaped once for all."""
    run_id = "" if ref.run_id is None else f"<uws:runId>{_escaped(ref.run_id)}</uws:runId>"
    owner = (
        '<uws:ownerId xsi:nil="true"/>'
        if ref.owner is None
        else f"<uws:ownerId>{_escaped(ref.owner)}</uws:ownerId>"
    )
    return (
        f'<uws:jobref id="{ref.id}" xlink:type="simple" xlink:href="{href}/{ref.id}">'
        f"<uws:phase>{ref.phase}</uws:phase>{run_id}{owner}"
        f"<uws:creationTime>{to_text(ref.created)}</uws:creationTime></uws:jobref>\n"
    )


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;"})  # a bare CR would be read back as a newline


def _parameters(parameters: Iterable[Parameter], url: str) -> _Element:
    return _E.parameters(*(_parameter(p, url) for p in parameters))


def _parameter(parameter: Parameter, url: str) -> _Element:
    # A value that XML cannot hold must be given by reference (the schema's note on Parameter).
    match parameter.source:
        case Source.INLINE if fits_xml(parameter.value):
            return _E.parameter(parameter.value, id=parameter.name)
        case Source.REMOTE:
            content = parameter.value
        case _:
            content = parameter_url(url, parameter.name)
    return _E.parameter(content, id=parameter.name, byReference="true")


def _results(results: Iterable[Result], url: str) -> _Element:
    return _E.results(*(_result(r, url) for r in results))


def _result(result: Result, url: str) -> _Element:
    attributes = {"id": result.id, "mime-type": result.media_type}
    if result.size is not None:
        attributes["size"] = str(result.size)
    attributes[f"{{{XLINK}}}type"] = "simple"
    attributes[f"{{{XLINK}}}href"] = result_url(url, result.id)
    return _E.result(attributes)


def _error_summary(error: ErrorSummary) -> _Element:
    # DALI 1.2 section 5.2: a failed job always has its /error, so there is always detail.
    return _E.errorSummary(_E.message(legible(error.message)), type=error.type, hasDetail="true")


def _job_info(info: Mapping[str, str]) -> _Element:
    return _E.jobInfo(*(_INFO(name, legible(text)) for name, text in info.items()))


def _instant(name: str, at: datetime | None) -> _Element:
    return _nillable(name, None if at is None else to_text(at))


def _nillable(name: str, text: str | None) -> _Element:
    return _E(name, {f"{{{XSI}}}nil": "true"}) if text is None else _E(name, text)


def _serialize(root: _Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
