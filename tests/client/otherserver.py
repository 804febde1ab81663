"""Another implementation of UWS, in memory, with quirks that real servers have.

It shares nothing with uwsd, so that what the client does with it, it does with any server.
"""

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape, quoteattr

_BLOCKING = {"PENDING", "QUEUED", "EXECUTING"}


@dataclass
class Quirks:
    """What it does differently from what the standard, or a good server, would do."""

    version: str = "1.1"  #: 1.0 has no WAIT and no mime-type
    prefix: str = "uws:"  #: empty: the default namespace
    elsewhere: str | None = None  #: where results redirect to
    sizes: bool = True
    lying_sizes: bool = False
    ranges: bool = True
    relative: bool = False  #: Location and href
    private_list: bool = False  #: 403 for GET of the list
    extra: str = ""  #: into each job document, before the results
    busy: int = 0  #: how many of the next requests get 503 with Retry-After
    retry_after: str = "1"
    drop: int = 0  #: how many of the next requests end without an answer
    lacking: int = 0  #: how many of the next results are listed, but not there yet
    cut: int = 0  #: how many of the next results break off in the middle


@dataclass
class Work:
    """A job; results by id, in order: media type, content."""

    id: str
    parameters: list[tuple[str, str]] = field(default_factory=list)
    phase: str = "PENDING"
    results: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes


class OtherServer(ThreadingHTTPServer):
    """One service with its job list at ``/svc/async``; VOSI capabilities at the root."""

    daemon_threads = True

    def __init__(self, quirks: Quirks | None = None, *, finish: Work | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.quirks = quirks or Quirks()
        self.finish = finish  #: what a job is like as soon as it is started; None: EXECUTING
        self.jobs: dict[str, Work] = {}
        self.seen: list[Seen] = []
        self.changed = threading.Condition()
        self.ids = map(str, count(1))
        self.home = f"http://127.0.0.1:{self.server_address[1]}"
        self.joblist = f"{self.home}/svc/async"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def add(self, phase: str = "COMPLETED", **parts: object) -> str:
        """Make a job and return its URL."""
        work = Work(next(self.ids), phase=phase)
        for name, value in parts.items():
            setattr(work, name, value)
        self.jobs[work.id] = work
        return f"{self.joblist}/{work.id}"

    def move(self, url: str, phase: str, **parts: object) -> None:
        with self.changed:
            work = self.jobs[url.rpartition("/")[2]]
            for name, value in {**parts, "phase": phase}.items():
                setattr(work, name, value)
            self.changed.notify_all()

    def wait_for_request(self, method: str, path: str, count: int = 1) -> None:
        """Block until so many requests like this (a regular expression) have come."""

        def have_come() -> bool:
            return count <= sum(
                one.method == method and re.fullmatch(path, one.path) is not None
                for one in self.seen
            )

        with self.changed:
            assert self.changed.wait_for(have_come, timeout=20), [s.path for s in self.seen]


class _Handler(BaseHTTPRequestHandler):
    server: OtherServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self) -> None:
        split = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = Seen(self.command, split.path, parse_qsl(split.query), dict(self.headers), body)
        quirks = self.server.quirks
        with self.server.changed:
            self.server.seen.append(seen)
            self.server.changed.notify_all()
        if quirks.drop:
            quirks.drop -= 1
            self.close_connection = True
        elif quirks.busy:
            quirks.busy -= 1
            self._send(503, "too much to do", {"Retry-After": quirks.retry_after})
        else:
            self._route(seen)

    def _route(self, seen: Seen) -> None:
        match seen.path.strip("/").split("/"):
            case ["capabilities"]:
                self._xml(_CAPABILITIES.format(self.server.joblist))
            case ["svc"]:
                self._send(200, "<html><p>a page for people<br></html>", kind="text/html")
            case ["svc", "async"]:
                self._list(seen)
            case ["svc", "async", id_, *rest] if id_ in self.server.jobs:
                self._job(self.server.jobs[id_], "/".join(rest), seen)
            case _:
                self._send(404, "\x1b[31mno such thing\x07")

    def _list(self, seen: Seen) -> None:
        if seen.method == "POST":
            fields = dict(parse_qsl(seen.body.decode("latin-1")))
            if "REFUSE" in fields:
                return self._send(403, "\x1b]0;owned\x07over quota")
            url = self.server.add("PENDING", parameters=list(fields.items()))
            return self._see(url)
        if self.server.quirks.private_list:
            return self._send(403, "none of your business")
        prefix, wanted = self.server.quirks.prefix, {v for k, v in seen.query if k == "PHASE"}
        refs = "".join(
            f"<{prefix}jobref id={quoteattr(work.id)}><{prefix}phase>{work.phase}</{prefix}phase>"
            f"<{prefix}runId>a\tb</{prefix}runId></{prefix}jobref>"
            for work in self.server.jobs.values()
            if self.server.quirks.version == "1.0" or not wanted or work.phase in wanted
        )
        return self._xml(f"<{prefix}jobs {self._head()}>{refs}</{prefix}jobs>")

    def _job(self, work: Work, rest: str, seen: Seen) -> None:
        url = f"{self.server.joblist}/{work.id}"
        if seen.method == "DELETE":
            del self.server.jobs[work.id]
            return self._see(self.server.joblist)
        if seen.method == "POST":
            self._change(work, rest, dict(parse_qsl(seen.body.decode())))
            return self._see(url)
        if rest.startswith("results/"):
            return self._result(*list(work.results.values())[int(rest.rpartition("/")[2])])
        if rest == "error" and work.error:
            return self._send(200, f"detail: {work.error}\n")
        if rest:
            return self._send(404, "no such thing")
        self._block(work, dict(seen.query))
        return self._xml(self._document(work, url))

    def _change(self, work: Work, rest: str, form: dict[str, str]) -> None:
        url, done = work.id, self.server.finish
        if rest == "phase" and form["PHASE"] == "ABORT":
            self.server.move(url, "ABORTED")
        elif rest == "phase" and done:
            self.server.move(url, done.phase, results=done.results, error=done.error)
        elif rest == "phase":
            self.server.move(url, "EXECUTING")
        else:
            work.parameters += form.items()

    def _block(self, work: Work, query: dict[str, str]) -> None:
        asked = query.get("PHASE", work.phase)
        if (
            self.server.quirks.version == "1.0"
            or "WAIT" not in query
            or work.phase not in _BLOCKING
        ):
            return
        with self.server.changed:
            self.server.changed.wait_for(lambda: work.phase != asked, timeout=float(query["WAIT"]))

    def _document(self, work: Work, url: str) -> str:
        quirks, prefix = self.server.quirks, self.server.quirks.prefix
        error = f"<{prefix}errorSummary type='fatal' hasDetail='true'><{prefix}message>"
        error += f"{escape(work.error or '')}</{prefix}message></{prefix}errorSummary>"
        results = "".join(
            f"<{prefix}result id={quoteattr(id_)} "
            f"xlink:href='{'' if quirks.relative else url.rpartition('/')[0] + '/'}"
            f"{work.id}/results/{number}'"
            + (f" size='{len(content) + quirks.lying_sizes}'" if quirks.sizes else "")
            + (f" mime-type='{kind}'" if quirks.version != "1.0" else "")
            + "/>"
            for number, (id_, (kind, content)) in enumerate(work.results.items())
        )
        return (
            f"<{prefix}job {self._head()}><{prefix}jobId>{work.id}</{prefix}jobId>"
            f"<{prefix}phase>{work.phase}</{prefix}phase>{quirks.extra}"
            f"<{prefix}results>{results}</{prefix}results>{error if work.error else ''}"
            f"</{prefix}job>"
        )

    def _head(self) -> str:
        quirks = self.server.quirks
        name = f"xmlns:{quirks.prefix[:-1]}" if quirks.prefix else "xmlns"
        version = "" if quirks.version == "1.0" else f" version='{quirks.version}'"
        return (
            f"{name}='http://www.ivoa.net/xml/UWS/v1.0' "
            f"xmlns:xlink='http://www.w3.org/1999/xlink'{version}"
        )

    def _result(self, kind: str, content: bytes) -> None:
        quirks = self.server.quirks
        if quirks.lacking:
            quirks.lacking -= 1
            self._send(404, "not yet")
            return
        if quirks.elsewhere:
            self._send(302, "", {"Location": quirks.elsewhere})
            return
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(start[1]) if start and quirks.ranges else 0
        if first and first >= len(content):
            self._send(416, "416: there is nothing after the end of it")
            return
        part = content[first:]
        head = {"Content-Type": kind, "Content-Length": str(len(part))}
        # What a server says about names is not what a client should believe.
        head["Content-Disposition"] = "attachment; filename=../../evil"
        if quirks.cut:
            quirks.cut -= 1
            part, self.close_connection = part[: len(part) // 2], True
        self._raw(206 if first else 200, part, head)

    def _see(self, url: str) -> None:
        where = urlsplit(url).path if self.server.quirks.relative else url
        self._send(303, "", {"Location": where})

    def _xml(self, document: str) -> None:
        self._send(200, document, kind="text/xml")

    def _send(
        self, status: int, text: str, head: dict[str, str] | None = None, kind: str = "text/plain"
    ) -> None:
        body = text.encode()
        length = {"Content-Type": kind, "Content-Length": str(len(body))}
        self._raw(status, body, length | (head or {}))

    def _raw(self, status: int, body: bytes, head: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


_CAPABILITIES = """<v:capabilities xmlns:v="http://www.ivoa.net/xml/VOSICapabilities/v1.0">
<capability standardID="ivo://ivoa.net/std/VOSI#capabilities"><interface>
<accessURL use="full">http://127.0.0.1:9/capabilities</accessURL></interface></capability>
<capability standardID="ivo://ivoa.net/std/UWS#rest-1.1"><interface>
<accessURL use="base">{}</accessURL></interface></capability></v:capabilities>"""
