"""What other servers' job and list documents say (UWS 1.1 sections 2.2.2.1 and 2.2.2.2).

Read by local name, so that any prefix and any of the namespaces in use will do. Times stay as the
server wrote them: a client that only shows them need not fail on the ones that are wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from lxml import etree
from lxml.etree import _Element

from uwsd.client.errors import NotUws
from uwsd.uws.phase import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteResult:
    """A result as its server describes it."""

    id: str
    url: str  #: absolute
    media_type: str | None
    size: int | None  #: in bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJob:
    """A job as its server describes it."""

    url: str
    id: str
    phase: Phase
    knows_wait: bool  #: whether the server is of version 1.1, and so has WAIT (2.2.1.2)
    results: tuple[RemoteResult, ...]
    error: str | None  #: the message of its errorSummary
    info: str  #: the text in its jobInfo

    @property
    def summary(self) -> str:
        """The phase, and what the server has to say about it, in one line."""
        return " ".join(filter(None, (self.phase, self.error, self.info)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """A job as a job list shows it."""

    url: str
    id: str
    phase: Phase
    run_id: str | None
    owner: str | None
    created: str | None


def read_job(document: bytes, url: str) -> RemoteJob:
    """Read the document at the job URL ``url``. Raises `NotUws`."""
    root = _root(document)
    if root is None or _name(root) != "job":
        raise NotUws(f"{url} does not answer with a UWS job")
    return RemoteJob(
        url=url,
        id=_text(root, "jobId") or url.rpartition("/")[2],
        phase=_phase(root),
        knows_wait=root.get("version", "1.0") != "1.0",
        results=tuple(_results(root, url)),
        error=_text(root, "errorSummary/{*}message"),
        info=" ".join(" ".join(root.xpath("*[local-name()='jobInfo']//text()")).split()),
    )


def is_list(document: bytes) -> bool:
    """Whether this is a job list."""
    root = _root(document)
    return root is not None and _name(root) == "jobs"


def read_list(document: bytes, url: str) -> tuple[ListedJob, ...]:
    """Read the document at the job list URL ``url``. Raises `NotUws`."""
    root = _root(document)
    if root is None or _name(root) != "jobs":
        raise NotUws(f"{url} does not answer with a UWS job list")
    return tuple(
        ListedJob(
            url=absolute(url, _href(job) or f"{url}/{quote(job.get('id', ''), safe='')}"),
            id=job.get("id", ""),
            phase=_phase(job),
            run_id=_text(job, "runId"),
            owner=_text(job, "ownerId"),
            created=_text(job, "creationTime"),
        )
        for job in root.iterfind("{*}jobref")
    )


def job_lists(capabilities: bytes) -> tuple[str, ...]:
    """Return the URLs of the job lists that a VOSI capabilities document names (2.2.1.1)."""
    root = _root(capabilities)
    if root is None:
        return ()
    return tuple(
        (url.text or "").strip()
        for capability in root.iterfind("{*}capability")
        if capability.get("standardID", "").startswith("ivo://ivoa.net/std/UWS#")
        for url in capability.iterfind("{*}interface/{*}accessURL")
    )


def absolute(base: str, reference: str) -> str:
    """Return the URL that a server at ``base`` means. Raises `NotUws`."""
    try:
        return urljoin(base, reference)
    except ValueError as error:
        raise NotUws(f"{base} names {reference!r}, which is no URL: {error}") from error


def _root(document: bytes) -> _Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError:
        return None


def _name(element: _Element) -> str:
    return etree.QName(element).localname


def _text(element: _Element, path: str) -> str | None:
    return (element.findtext(f"{{*}}{path}") or "").strip() or None


def _phase(element: _Element) -> Phase:
    return Phase.__members__.get(_text(element, "phase") or "", Phase.UNKNOWN)


def _results(root: _Element, url: str) -> Iterator[RemoteResult]:
    for result in root.iterfind("{*}results/{*}result"):
        id_, size = result.get("id", "result"), result.get("size", "")
        yield RemoteResult(
            id=id_,
            url=absolute(url, _href(result) or f"{url}/results/{quote(id_, safe='')}"),
            media_type=result.get("mime-type"),
            size=int(size) if size.isdecimal() and len(size) < 20 else None,
        )


def _href(element: _Element) -> str | None:
    """Return the xlink:href, whatever its prefix is bound to."""
    found = (value for name, value in element.items() if etree.QName(name).localname == "href")
    return next(found, None)
