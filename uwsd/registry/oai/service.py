"""The six verbs (OAI-PMH 2.0 section 4), on the records of this registry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from uwsd.registry.oai import documents
from uwsd.registry.oai.arguments import Request, Verb, read, span
from uwsd.registry.oai.documents import FORMATS, SET, Format, Resumption
from uwsd.registry.oai.errors import (
    BadResumptionToken,
    CannotDisseminateFormat,
    IdDoesNotExist,
    NoMetadataFormats,
    NoRecordsMatch,
    OaiError,
)
from uwsd.registry.oai.token import Continuation
from uwsd.registry.records import REGISTRY
from uwsd.registry.store import Published, Reading, RecordStore, Selection

Write = Callable[[], str]
"""Writes an answer's content, once the records have been read and others may publish again."""


class NotPublished(Exception):
    """The registry has no record of itself, yet or at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OaiService:
    """Answers requests."""

    store: RecordStore
    site_file: Path  #: a site without it publishes nothing
    url: str
    key: bytes  #: what resumption tokens are signed with
    page_size: int

    def answer(self, pairs: list[tuple[str, str]]) -> bytes:
        """Return the document that answers the arguments ``pairs``, whatever they are.

        Raises `NotPublished` as long as there is nothing to tell.
        """
        echoed: Mapping[str, str] = {}
        with self.store.reading() as reading:
            try:
                request = read(pairs)
                echoed = {"verb": request.verb, **request.arguments}
                write = self._answer(reading, request)
            except OaiError as refusal:
                echoed = echoed if refusal.echoes else {}
                write = partial(documents.error, refusal)
        return documents.answer(reading.at, self.url, echoed, write())

    def refuse(self, refusal: OaiError) -> bytes:
        """Return the document that says why a request could not even be read."""
        with self.store.reading() as reading:
            at = reading.at
        return documents.answer(at, self.url, {}, documents.error(refusal))

    def _answer(self, reading: Reading, request: Request) -> Write:
        match request.verb:
            case Verb.IDENTIFY:
                return self._identify(reading)
            case Verb.LIST_METADATA_FORMATS:
                return self._list_metadata_formats(reading, request)
            case Verb.LIST_SETS:
                return self._list_sets(request)
            case Verb.GET_RECORD:
                return self._get_record(reading, request)
            case Verb.LIST_IDENTIFIERS:
                _, page, resumption = self._page(reading, request)
                return partial(documents.identifiers, page, resumption)
            case Verb.LIST_RECORDS:
                format_, page, resumption = self._page(reading, request)
                return partial(documents.records, page, format_, resumption)

    def _identify(self, reading: Reading) -> Write:
        own = reading.called(REGISTRY)
        if own is None or own.document is None:
            raise NotPublished
        return partial(documents.identify, own.document, self.url, reading.earliest())

    def _list_metadata_formats(self, reading: Reading, request: Request) -> Write:
        identifier = request.get("identifier")
        if identifier is not None and _known(reading, identifier).document is None:
            raise NoMetadataFormats(f"{identifier} is deleted")
        return documents.metadata_formats

    def _list_sets(self, request: Request) -> Write:
        if request.get("resumptionToken") is not None:
            raise BadResumptionToken("the list of sets has one page")
        return documents.sets

    def _get_record(self, reading: Reading, request: Request) -> Write:
        format_ = _format(request.arguments["metadataPrefix"])
        return partial(documents.record, _known(reading, request.arguments["identifier"]), format_)

    def _page(
        self, reading: Reading, request: Request
    ) -> tuple[Format, list[Published], Resumption | None]:
        """Return a page of a list, and what follows it, if the list takes more than one."""
        at = self._position(request)
        format_ = _format(at.arguments["metadataPrefix"])
        if at.arguments.get("set", SET) != SET:
            raise NoRecordsMatch(f"there is no set but {SET}")
        asked = span(at.arguments)
        chosen = Selection(since=asked.since, until=asked.until)
        page = reading.page(chosen, after=at.after, size=self.page_size + 1)
        if not page and not at.after:
            raise NoRecordsMatch("no record has changed in that time")
        return format_, page[: self.page_size], self._rest(reading, request, at, chosen, page)

    def _position(self, request: Request) -> Continuation:
        token = request.get("resumptionToken")
        if token is None:
            return Continuation(arguments=dict(request.arguments), after=0, cursor=0)
        return Continuation.read(token, request.verb, self.key)

    def _rest(
        self,
        reading: Reading,
        request: Request,
        at: Continuation,
        chosen: Selection,
        page: list[Published],
    ) -> Resumption | None:
        token = ""
        if len(page) > self.page_size:
            rest = Continuation(
                arguments=at.arguments,
                after=page[self.page_size - 1].number,
                cursor=at.cursor + self.page_size,
            )
            token = rest.token(request.verb, self.key)
        elif not at.after:
            return None
        return Resumption(token=token, cursor=at.cursor, size=max(1, reading.count(chosen)))


def _format(prefix: str) -> Format:
    if prefix not in FORMATS:
        raise CannotDisseminateFormat(f"there is no format {prefix}, only {', '.join(FORMATS)}")
    return FORMATS[prefix]


def _known(reading: Reading, identifier: str) -> Published:
    # IVOIDs compare without regard to case (IVOA Identifiers 2.0 section 2.1).
    found = reading.get(identifier.lower())
    if found is None:
        raise IdDoesNotExist(f"there is no record {identifier}")
    return found
