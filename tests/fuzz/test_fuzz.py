"""Odd requests by the thousand, each on a raw socket, and what must hold whatever is sent.

``UWSD_FUZZ=100000`` says how many; ``UWSD_TEST_SEED`` repeats a run.
"""

import io
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from random import Random, SystemRandom
from typing import cast
from urllib.parse import quote, urlsplit

import pytest
import requests
from lxml import etree
from requests.utils import requote_uri

from tests.fuzz.odd import Attempt, Odd
from tests.fuzz.vocabulary import INJECTED, MARK
from tests.serving import Server, descendants, finished, wait_until
from uwsd.schemas import validate

COUNT = int(os.environ.get("UWSD_FUZZ", "3000"))
BATCH = 1000
AT_ONCE = 16
PATIENCE = 20  # seconds until an answer has to be there
SERVICES = ("demo", "checksum")
MOST_GROWTH = 64 * 1024**2
_LOGGED = re.compile(
    r"\[[^]]+\] \[\d+\] \[WARNING\] Invalid request from ip=127\.0\.0\.1: .{1,300}|INFO .*"
)
_OURS = re.compile(
    r"http://(127\.0\.0\.1|localhost):(?P<port>\d+)/(demo|checksum)/async(/(?P<job>[0-9a-f-]{36}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, as far as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Wire(io.BytesIO):
    """What came through a socket, for http.client, which would close it after an answer."""

    def makefile(self, _mode: str) -> "_Wire":
        return self

    def close(self) -> None:
        pass


def answers(wire: bytes, methods: list[bytes]) -> Iterator[Answer]:
    """Split what a connection gave back into answers."""
    stream = _Wire(wire)
    for method in [*methods, *[b"GET"] * 20]:
        if not wire.startswith(b"HTTP/1.", stream.tell()):
            return
        answer = HTTPResponse(cast("socket.socket", stream), method=method.decode("latin-1"))
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        yield Answer(status=answer.status, headers=headers, body=answer.read())


class Fuzz:
    """One server under fire, and what is remembered of it."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server, self.seed = server, seed
        self.statuses: Counter[int] = Counter()
        self.promised: set[str] = set()
        address = urlsplit(server.url)
        self._address = str(address.hostname), int(address.port or 0)
        self.done, self.jobs = "", [""]
        self.prepare()

    def prepare(self) -> None:
        """Make some jobs, and a finished one, for the next requests to play with."""
        url = f"{self.server.url}/demo/async"
        self.done = requests.post(url, {"PHASE": "RUN"}, timeout=60).url[-36:]
        assert finished(f"{url}/{self.done}") == "COMPLETED"
        self.jobs = [requests.post(url, {"TEXT": "a"}, timeout=60).url[-36:] for _ in range(20)]
        self.promised |= {self.done, *self.jobs}

    def one(self, number: int) -> str:
        """Send the attempt of that number; return what is wrong with what comes back."""
        attempt = Odd(Random(f"{self.seed} {number}")).attempt()
        pieces = [self._named(piece, number) for piece in attempt.pieces]
        try:
            began = time.monotonic()
            got = list(answers(self._send(pieces, attempt.hangs_up), attempt.methods))
            assert time.monotonic() - began < PATIENCE, "it took too long"
            assert got or attempt.hangs_up or b"\r\n\r\n" not in b"".join(pieces), "no answer"
            for answer in got:
                self._check(answer, attempt)
        except (AssertionError, HTTPException, OSError) as error:
            sent = b"".join(pieces)
            return f"{number}: {error!s:.700}\n{sent[:1500]!r}"
        return ""

    def _named(self, piece: bytes, number: int) -> bytes:
        job = self.jobs[number % len(self.jobs)]
        names = {"$JOB": job, "$UPPER": job.upper(), "$HEX": job.replace("-", "")}
        names |= {"$DONE": self.done, "$HOST": urlsplit(self.server.url).netloc}
        for name, value in (names | {"$PORT": str(self._address[1])}).items():
            piece = piece.replace(name.encode(), value.encode())
        return piece

    def _send(self, pieces: list[bytes], hangs_up: bool) -> bytes:
        got = b""
        with socket.create_connection(self._address, PATIENCE) as peer:
            with suppress(OSError):  # refused before its end
                for piece in pieces:
                    peer.sendall(piece)
                    time.sleep(0.02 if len(pieces) > 1 else 0)
                if hangs_up:
                    return b""
                peer.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while piece := peer.recv(65536):
                    got += piece
        return got

    def _check(self, answer: Answer, attempt: Attempt) -> None:
        self.statuses[answer.status] += 1
        # RFC 9112 6.1: 501 is for a Transfer-Encoding that nobody knows.
        assert answer.status < 500 or answer.status == 501, answer
        assert INJECTED.decode().lower() not in answer.headers, answer
        location = answer.headers.get("location", "")
        if location:
            leads = _OURS.fullmatch(location)
            assert leads, answer
            assert leads["port"] == str(self._address[1]), answer
            assert not attempt.broken, "half a request was taken for a whole one"
            self.promised.add(leads["job"])
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if "sandbox" in answer.headers.get("content-security-policy", ""):
            return  # a file, foreign by nature
        if media_type == "text/html":
            assert MARK not in answer.body, answer
        elif media_type.endswith("/xml") and answer.body and answer.status == 200:
            etree.fromstring(answer.body)
        elif answer.status != 304:
            assert answer.headers.get("x-content-type-options") == "nosniff", answer

    def clean(self) -> None:
        """Read and delete every job, after a look at whether somebody was told of it."""
        for service in SERVICES:
            listed = requests.get(f"{self.server.url}/{service}/async", timeout=PATIENCE)
            for job in re.findall(r'jobref id="([^"]+)"', listed.text):
                assert job in self.promised, f"nobody was told of job {job}"
                self._read(f"{listed.url}/{job}")
                requests.delete(f"{listed.url}/{job}", allow_redirects=False, timeout=PATIENCE)

    def _read(self, job: str) -> None:
        """Read all of a job: what it was given must not have spoiled it."""
        document = requests.get(job, timeout=PATIENCE)
        if document.status_code == 404:
            return  # its destruction time has come
        validate(document.content)
        for parameter in etree.fromstring(document.content).findall(".//{*}parameter")[:5]:
            url = f"{job}/parameters/{quote(parameter.get('id', ''), safe='')}"
            value = requests.get(url, timeout=PATIENCE)
            assert (value.status_code, value.url) == (200, requote_uri(url)), value.content
            by_reference = parameter.get("byReference") and (parameter.text or "").startswith(job)
            assert not by_reference or parameter.text == url


@pytest.fixture
def fired_at(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data", UWSD_SERVER__MAX_WAIT="1").start()
    yield server
    assert server.stop() == 0, server.log


def processes(server: Server) -> list[int]:
    assert server.process is not None
    return sorted(descendants(server.process.pid))


def holds(pid: int) -> tuple[int, int]:
    """Return how many file descriptors a process has, and how many bytes of memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), pages * os.sysconf("SC_PAGESIZE")


@pytest.mark.timeout(120 + COUNT // 20)
def test_whatever_is_sent_the_server_stays_itself(fired_at: Server) -> None:
    seed = int(os.environ.get("UWSD_TEST_SEED", SystemRandom().randrange(2**32)))
    print(f"UWSD_TEST_SEED={seed}")
    fuzz = Fuzz(fired_at, seed)
    everybody, began, spent = processes(fired_at), len(fired_at.log), 0.0
    at_first: dict[int, tuple[int, int]] = {}
    with ThreadPoolExecutor(AT_ONCE) as senders:
        for first in range(0, COUNT, BATCH):
            clock = time.monotonic()
            numbers = range(first, min(first + BATCH, COUNT))
            wrong = [reason for reason in senders.map(fuzz.one, numbers) if reason]
            spent += time.monotonic() - clock
            assert not wrong, f"{len(wrong)} answers are wrong:\n" + "\n".join(wrong[:10])
            assert requests.get(f"{fired_at.url}/healthz", timeout=5).text == "ok\n"
            assert processes(fired_at) == everybody, "a process has died"
            fuzz.clean()
            # What a process keeps for good after the first thousand is no leak.
            at_first = at_first or {pid: holds(pid) for pid in everybody}
            fuzz.prepare()
    fuzz.clean()
    print(f"{COUNT} requests, {COUNT / spent:.0f}/s: {dict(sorted(fuzz.statuses.items()))}")
    print(f"descriptors and bytes: {at_first}, now {[holds(pid) for pid in everybody]}")
    wait_until(lambda: all(holds(pid)[0] <= at_first[pid][0] + 10 for pid in everybody))
    assert all(holds(pid)[1] <= at_first[pid][1] + MOST_GROWTH for pid in everybody)
    jobs = fired_at.data / "jobs"
    wait_until(lambda: [path.name for path in jobs.iterdir() if path.name[0] != "."] == [])
    assert list((fired_at.data / "spool").iterdir()) == []
    said = fired_at.log[began:].removesuffix("\n").split("\n")
    assert [line for line in said if not _LOGGED.fullmatch(line)] == []


def test_long_documents_do_not_stay_in_memory(server: Server) -> None:
    fields = {f"a{number}": "x" * 60_000 for number in range(30)}  # almost 2 MB
    before = sum(holds(pid)[1] for pid in processes(server))
    jobs = [requests.post(f"{server.url}/demo/async", fields, timeout=60) for _ in range(50)]
    after = sum(holds(pid)[1] for pid in processes(server))
    assert [job.status_code for job in jobs] == [200] * 50, "the redirect was followed"
    assert after - before < MOST_GROWTH
    for job in jobs:
        requests.delete(job.url, timeout=60)
