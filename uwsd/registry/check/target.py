"""The registry that is checked: asking it, and reading what it says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import requests
from lxml.etree import _Element

from uwsd import __version__
from uwsd.registry.oai.documents import OAI, RI
from uwsd.schemas import DocumentError, parse

_TIMEOUT = 60
_MOST_PAGES = 1000
_O = f"{{{OAI}}}"


class Unreachable(Exception):
    """There is no registry to talk to; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one request."""

    query: str
    status: int
    media_type: str
    content: bytes
    root: _Element | None  #: None when it is not XML

    @property
    def codes(self) -> frozenset[str]:
        """The codes of its errors; "" stands for a normal answer, "?" for what is none at all."""
        if self.root is None or self.status != 200 or self.root.tag != f"{_O}OAI-PMH":
            return frozenset({"?"})
        found = self.root.findall(f"{_O}error")
        return frozenset(error.get("code", "?") for error in found) or frozenset({""})

    def texts(self, path: str) -> list[str]:
        """Return the texts at a path of OAI's elements."""
        if self.root is None:
            return []
        found = self.root.findall("/".join(f"{_O}{part}" for part in path.split("/")))
        return [(element.text or "").strip() for element in found]

    @property
    def token(self) -> str:
        """The resumption token, or "" when the list ends here."""
        found = [] if self.root is None else list(self.root.iter(f"{_O}resumptionToken"))
        return (found[0].text or "").strip() if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a list."""

    identifier: str  #: of its header
    is_deleted: bool
    resources: list[_Element] = field(default_factory=list)  #: the children of its metadata

    @property
    def resource(self) -> _Element | None:
        """Its one ``ri:Resource``."""
        found = [r for r in self.resources if r.tag == f"{{{RI}}}Resource"]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """All that the Registry of Registries reads before it decides."""

    identify: Answer
    formats: Answer
    sets: Answer
    pages: list[Answer]

    @cached_property
    def records(self) -> list[Record]:
        """The records of all pages."""
        return [record for page in self.pages for record in records_of(page)]

    @cached_property
    def registry(self) -> _Element | None:
        """The record of the registry in its Identify."""
        if self.identify.root is None:
            return None
        return self.identify.root.find(f".//{_O}description/{{{RI}}}Resource")


class Target:
    """A registry by the URL of its OAI-PMH endpoint."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"uwsd/{__version__} (IVOA-validate)"

    def ask(self, query: str) -> Answer:
        """Send a query as it is: some harvesters encode nothing."""
        try:
            answer = self._session.get(f"{self.url}?{query}", timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from None
        try:
            root = parse(answer.content).getroot()
        except DocumentError:
            root = None
        return Answer(
            query=query,
            status=answer.status_code,
            media_type=answer.headers.get("Content-Type", "").partition(";")[0].strip(),
            content=answer.content,
            root=root,
        )

    def harvest(self) -> Harvest:
        """Ask for what is needed to judge the registry."""
        identify = self.ask("verb=Identify")
        if identify.codes != {""}:
            raise Unreachable(
                f"{self.url} is no OAI-PMH endpoint: Identify is answered with status "
                f"{identify.status} and {identify.media_type or 'no media type'}"
            )
        return Harvest(
            identify=identify,
            formats=self.ask("verb=ListMetadataFormats"),
            sets=self.ask("verb=ListSets"),
            pages=list(self._pages("verb=ListRecords&metadataPrefix=ivo_vor&set=ivo_managed")),
        )

    def _pages(self, query: str) -> Iterator[Answer]:
        for _ in range(_MOST_PAGES):
            page = self.ask(query)
            yield page
            if not page.token:
                return
            query = f"verb=ListRecords&resumptionToken={page.token}"


def records_of(page: Answer) -> Iterator[Record]:
    """Yield the records of a page of ListRecords."""
    for record in [] if page.root is None else page.root.iter(f"{_O}record"):
        header = record.find(f"{_O}header")
        metadata = record.find(f"{_O}metadata")
        attributes: Mapping[str, str] = {} if header is None else dict(header.attrib)
        yield Record(
            identifier=(record.findtext(f"{_O}header/{_O}identifier") or "").strip(),
            is_deleted=attributes.get("status") == "deleted",
            resources=[] if metadata is None else list(metadata),
        )
