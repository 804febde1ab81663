"""A server that answers with whatever bytes a test wants, at whatever pace."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress


class Server:
    """Gives each connection the next of its answers, and goes on with the last."""

    def __init__(
        self, *answers: "Answer", host: str = "127.0.0.1", port: int = 0, tls: str = ""
    ) -> None:
        self.requests: list[bytes] = []
        self.accepted = 0
        self.over = threading.Event()
        self._answers = answers
        self._tls = tls
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self.authority = f"{host}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.authority}/data"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                answer = self._answers[min(self.accepted, len(self._answers) - 1)]
                self.accepted += 1
                self._threads.append(
                    threading.Thread(target=self._serve, args=(connection, answer))
                )
                self._threads[-1].start()

    def _serve(self, connection: socket.socket, answer: "Answer") -> None:
        with suppress(OSError), self._opened(connection) as opened:
            self.requests.append(opened.recv(65536))
            if callable(answer):
                answer(opened, self)
            else:
                opened.sendall(answer)
                _finish(opened)

    def _opened(self, connection: socket.socket) -> socket.socket:
        connection.settimeout(10)
        if not self._tls:
            return connection
        with connection:  # the one that is returned takes its descriptor over
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._tls)
            return context.wrap_socket(connection, server_side=True)


Answer = bytes | Callable[[socket.socket, Server], None]


def _finish(connection: socket.socket) -> None:
    if isinstance(connection, ssl.SSLSocket):
        connection.unwrap()
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)  # a close before the other side's would be a reset


def ok(content: bytes, *headers: bytes) -> bytes:
    return head(200, b"Content-Length: %d" % len(content), *headers) + content


def unsized(content: bytes, *headers: bytes) -> bytes:
    return head(200, *headers) + content


def chunked(content: bytes, size: int = 1000) -> bytes:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def redirect(location: str, status: int = 302) -> bytes:
    return head(status, b"Content-Length: 0", b"Location: " + location.encode("latin-1"))


def head(status: int, *headers: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 %d whatever" % status, *headers, b"", b""))


CHUNKED = head(200, b"Transfer-Encoding: chunked")


def drip(start: bytes, piece: bytes, *, every: float = 0.02) -> Answer:
    """Send ``piece`` again and again, until nobody listens."""

    def answer(connection: socket.socket, server: Server) -> None:
        connection.sendall(start)
        while not server.over.wait(every):
            connection.sendall(piece)

    return answer


def endless(start: bytes, piece: bytes) -> Answer:
    return drip(start, piece * (1 + 2**16 // len(piece)), every=0)


def cut(content: bytes) -> Answer:
    """Leave without a goodbye, so that a TLS stream has no proper end."""

    def answer(connection: socket.socket, _: Server) -> None:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


def silent(connection: socket.socket, _: Server) -> None:
    connection.recv(1)
