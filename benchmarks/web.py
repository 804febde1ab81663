"""A load generator on bare sockets: it must cost less than what it measures.

Everything here is picklable and at the top of the module, so that it can run in a process of its
own (`beside`): a probe must not wait for the generator's turn of Python.
"""

import itertools
import random
import selectors
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from urllib.parse import urlencode, urlsplit

_PIECE = 256 * 1024
_KEPT = 64 * 1024
_PATIENCE = 120.0
Address = tuple[str, int]


class Unexpected(Exception):
    """An answer that is not what the benchmark is about."""


def address_of(url: str) -> Address:
    """Return where the server of a URL listens."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def request(url: str, form: Mapping[str, str] | None = None, *, keep: bool = True) -> bytes:
    """Return the bytes of a GET, or with a ``form`` of a POST."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    body = b"" if form is None else urlencode(form).encode()
    head = [f"{'GET' if form is None else 'POST'} {path} HTTP/1.1", f"Host: {parts.netloc}"]
    if form is not None:
        head += [
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        ]
    if not keep:
        head.append("Connection: close")
    return "\r\n".join((*head, "", "")).encode() + body


@dataclass(slots=True)
class Answer:
    """An answer as it comes in."""

    status: int = 0
    size: int = 0
    _begin: bytes = b""
    _end: bytes = b""
    _length: int | None = None  #: of head and body together; None while chunked or unknown

    def take(self, piece: bytes) -> bool:
        """Take what has come; return whether that is all."""
        self.size += len(piece)
        if len(self._begin) < _KEPT:
            self._begin += piece
        if not self.status:
            if (end := self._begin.find(b"\r\n\r\n")) < 0:
                return False
            self.status = int(self._begin[9:12])
            self._length = _length(self._begin[:end].lower(), end + 4)
        if self._length is not None:
            return self.size >= self._length
        self._end = (self._end + piece)[-7:]
        return self._end == b"\r\n0\r\n\r\n"

    @property
    def text(self) -> str:
        """The header fields, and the first part of the body."""
        return self._begin.decode("latin-1")

    @property
    def location(self) -> str:
        """Where the answer leads to."""
        return self.text.partition("\r\nLocation: ")[2].partition("\r\n")[0]


def _length(head: bytes, start: int) -> int | None:
    if b"transfer-encoding: chunked" in head:
        return None
    _, found, rest = head.partition(b"content-length:")
    return start + (int(rest.partition(b"\r\n")[0]) if found else 0)


def connect(address: Address) -> socket.socket:
    """Connect from any of this machine's own addresses: one alone runs out of ports."""
    made = socket.socket()
    made.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    made.bind((f"127.{random.randrange(1, 255)}.{random.randrange(256)}.1", 0))
    made.settimeout(_PATIENCE)
    made.connect(address)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def exchange(connection: socket.socket, message: bytes) -> Answer:
    """Send one request and return the whole answer."""
    connection.sendall(message)
    answer = Answer()
    while not answer.take(piece := connection.recv(_PIECE)):
        if not piece:
            raise Unexpected("the server has hung up")
    return answer


@dataclass(slots=True)
class Load:
    """What a closed loop of clients has seen."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


def hammer(
    address: Address, messages: Sequence[bytes], *, clients: int, seconds: float, status: int
) -> Load:
    """Let every client send the next of ``messages`` as soon as its answer has come."""
    load, turns = Load(), itertools.cycle(messages)
    with selectors.EpollSelector() as poll:
        began = time.perf_counter()
        open_clients = [_Client(address, poll, turns, status) for _ in range(clients)]
        while (now := time.perf_counter()) < began + seconds:
            for key, _ in poll.select(began + seconds - now):
                if (latency := key.data.hear()) is not None:
                    load.latencies.append(latency)
        load.seconds = now - began
        for client in open_clients:
            client.close()
    return load


class _Client:
    def __init__(
        self,
        address: Address,
        poll: selectors.EpollSelector,
        turns: Iterator[bytes],
        status: int,
    ) -> None:
        self._address, self._poll, self._turns, self._status = address, poll, turns, status
        self._ask()

    def _ask(self, kept: socket.socket | None = None) -> None:
        message = next(self._turns)
        self._closes = b"\r\nConnection: close" in message
        self._answer = Answer()
        self._began = time.perf_counter()
        self._socket = kept or connect(self._address)
        if kept is None:
            self._poll.register(self._socket, selectors.EVENT_READ, self)
        self._socket.sendall(message)

    def hear(self) -> float | None:
        piece = self._socket.recv(_PIECE)
        if not self._answer.take(piece):
            if not piece:
                raise Unexpected(f"hung up after {self._answer.text[:200]!r}")
            return None
        if self._answer.status != self._status:
            raise Unexpected(self._answer.text)
        latency = time.perf_counter() - self._began
        if self._closes:
            self.close()
        self._ask(None if self._closes else self._socket)
        return latency

    def close(self) -> None:
        self._poll.unregister(self._socket)
        self._socket.close()


def probe(address: Address, message: bytes, *, seconds: float, every: float) -> list[float]:
    """Ask every so often, on one connection, for as long as it takes; return the latencies."""
    latencies = []
    with connect(address) as connection:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            exchange(connection, message)
            latencies.append(time.perf_counter() - began)
            time.sleep(max(0.0, began + every - time.perf_counter()))
    return latencies


@contextmanager
def beside(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes to run generators and probes in."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(time.sleep, [0.1] * processes))  # they are there before anything is timed
        yield pool


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that ``percent`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
