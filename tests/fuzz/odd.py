"""Odd requests: good ones of which one or two parts, and sometimes some bytes, are exchanged.

`Odd` throws dice only, so that the same dice make the same requests.
"""

from dataclasses import dataclass
from random import Random

from tests.fuzz import vocabulary as words

URLENCODED = b"Content-Type: application/x-www-form-urlencoded"
MULTIPART = b"Content-Type: multipart/form-data; boundary=XX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one connection sends; ``$JOB`` and the like are still to be filled in."""

    pieces: list[bytes]  #: one after the other, with a short pause between
    methods: list[bytes]  #: of its requests, as far as they can be told
    broken: bool = False  #: whether nobody may take it for a whole request
    hangs_up: bool = False  #: whether the client leaves without reading the answer


class Odd:
    """Makes attempts."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def attempt(self) -> Attempt:
        """Return what the next connection sends: mostly one request, sometimes pipelined ones."""
        if self._chance(0.03):
            return self._cut_short()
        requests = [self._request() for _ in range(self._dice.choice((1, 1, 1, 1, 1, 1, 2, 5)))]
        wire = b"".join(wire for _, wire in requests)
        methods = [method for method, _ in requests]
        if self._chance(0.08):
            return Attempt(pieces=[self._bitten(wire)], methods=methods)
        if self._chance(0.02):
            return Attempt(pieces=self._slowly(wire), methods=methods)
        return Attempt(pieces=[wire], methods=methods)

    def _request(self) -> tuple[bytes, bytes]:
        method = self._pick(words.METHODS, words.ODD_METHODS, 0.02)
        usual = tuple(words.TAKES) if method == b"POST" else words.PLACES
        place = self._pick(usual, words.PLACES, 0.1)
        names = words.TAKES.get(place, words.NAMES)
        headers, body = [b"Host: $HOST"], b""
        if method in (b"POST", b"PUT"):
            kind, body = self._body(names)
            headers += kind
        if self._chance(0.8):
            headers += self._lengths(body)
        else:
            headers, body = [*headers, b"Transfer-Encoding: chunked"], self._chunked(body)
        for _ in range(self._dice.choice((0, 0, 0, 0, 1, 1, 2))):
            self._dress(headers, self._dice.choice(words.HEADERS))
        target = self._target(place, words.NAMES if method == b"GET" else names)
        version = self._pick((b"HTTP/1.1",), words.ODD_VERSIONS, 0.02)
        return method, b"\r\n".join([b" ".join((method, target, version)), *headers, b"", body])

    def _target(self, path: bytes, names: tuple[bytes, ...]) -> bytes:
        if self._chance(0.08):
            segments = path.split(b"/")
            segments[self._dice.randrange(len(segments))] = self._dice.choice(words.ODDITIES)
            path = b"/".join(segments)
        if self._chance(0.05):
            path = self._respelled(path)
        if self._chance(0.02):
            path = self._dice.choice(words.ODD_SCHEMES) + path
        count = self._dice.choice((0, 0, 0, 0, 1, 1, 2))
        return path + b"?" + self._form(count, names) if count else path

    def _respelled(self, path: bytes) -> bytes:
        """Write the same path, or the same job, in another way."""
        old, new = self._dice.choice(
            (
                *((b"/", b"//"), (b"/", b"/./"), (b"a", b"%61"), (b"/demo", b"/demo/../demo")),
                *((b"$JOB", b"$UPPER"), (b"$JOB", b"{$JOB}"), (b"$JOB", b"$HEX")),
                *((b"$JOB", b"$JOB%0a"), (b"$JOB", b"%20$JOB"), (b"$JOB", b"$JOB/")),
            )
        )
        return path.replace(old, new)

    def _body(self, names: tuple[bytes, ...]) -> tuple[list[bytes], bytes]:
        match self._dice.randrange(12):
            case 0:
                return [], self._dice.choice(words.ODDITIES)
            case 1:
                return [URLENCODED], self._dice.choice(words.ODD_FORMS)
            case 2 | 3 | 4 | 5:
                return [MULTIPART], self._multipart()
            case _:
                return [URLENCODED], self._form(self._dice.choice((0, 1, 1, 1, 2, 3)), names)

    def _form(self, count: int, names: tuple[bytes, ...]) -> bytes:
        fields = ((self._pick(names, words.ODDITIES, 0.05), self._value()) for _ in range(count))
        return b"&".join(name + b"=" + value for name, value in fields)

    def _value(self) -> bytes:
        return self._pick(words.VALUES, words.ODDITIES, 0.25)

    def _multipart(self) -> bytes:
        start = self._pick((b"",), (b"preamble\r\n", b"\r\n", b"--X"), 0.1)
        parts = [self._part() for _ in range(self._dice.choice((0, 1, 1, 2, 2, 3, 300)))]
        return b"".join((start, *parts, self._pick((b"--XX--\r\n",), words.ODD_ENDS, 0.2)))

    def _part(self) -> bytes:
        headers = [b"Content-Disposition: " + self._pick(words.PARTS, words.ODD_PARTS, 0.2)]
        if self._chance(0.4):
            headers.append(b"Content-Type: " + self._dice.choice(words.MEDIA_TYPES))
        if self._chance(0.05):
            headers.append(self._dice.choice(words.PART_HEADERS))
        return b"\r\n".join([b"--XX", *headers, b"", self._value(), b""])

    def _lengths(self, body: bytes) -> list[bytes]:
        """Return Content-Length, now and then a wrong one, two, or none."""
        size = len(body)
        wrong: tuple[list[int], ...] = [size + 9], [max(0, size - 3)], [size, size], [size, 0], []
        lengths = self._dice.choice(wrong) if self._chance(0.05) else [size]
        return [b"Content-Length: %d" % length for length in lengths]

    def _chunked(self, body: bytes) -> bytes:
        size = self._dice.choice((1, 7, 1000, 60_000)) if len(body) < 9000 else 60_000
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
        if self._chance(0.1):
            chunks.insert(self._dice.randint(0, len(chunks)), self._dice.choice(words.ODD_CHUNKS))
        return b"".join((*chunks, self._pick((b"0\r\n\r\n",), words.ODD_LAST_CHUNKS, 0.1)))

    def _cut_short(self) -> Attempt:
        """A request that stops before its end, in the middle of a file perhaps."""
        line, kind, body = self._dice.choice(
            (
                (b"POST /demo/async HTTP/1.1", URLENCODED, self._form(2, words.OF_A_JOB)),
                (b"POST /checksum/async HTTP/1.1", MULTIPART, words.LONG_FILE),
            )
        )
        if self._chance(0.5):
            framing = b"Content-Length: %d" % (len(body) + 99)
        else:
            framing, body = b"Transfer-Encoding: chunked", b"ffffff\r\n" + body
        wire = b"\r\n".join((line, b"Host: $HOST", kind, framing, b"", body))
        if self._chance(0.3):
            wire = wire[: self._dice.randrange(len(wire))]
        return Attempt(pieces=[wire], methods=[b"POST"], broken=True, hangs_up=self._chance(0.5))

    def _dress(self, headers: list[bytes], header: bytes) -> None:
        """Put a header in the place of the one of that name, or beside it."""
        name = header.partition(b":")[0]
        same = [at for at, old in enumerate(headers) if old.partition(b":")[0] == name]
        if same and self._chance(0.7):
            headers[same[0]] = header
        else:
            headers.append(header)

    def _bitten(self, wire: bytes) -> bytes:
        """Exchange some bytes: remove, double, or put others in their place."""
        for _ in range(self._dice.choice((1, 1, 2, 5))):
            at = self._dice.randrange(min(len(wire), 2000) + 1)
            end = at + self._dice.choice((0, 1, 1, 4, 30))
            odd = self._dice.choice(words.ODDITIES)
            new = self._dice.choice((b"", wire[at:end] * 2, self._dice.randbytes(2), odd))
            wire = wire[:at] + new + wire[end:]
        return wire

    def _slowly(self, wire: bytes) -> list[bytes]:
        cuts = sorted(self._dice.randrange(len(wire)) for _ in range(5))
        return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    def _pick(self, good: tuple[bytes, ...], odd: tuple[bytes, ...], odds: float) -> bytes:
        return self._dice.choice(odd if self._chance(odds) else good)

    def _chance(self, odds: float) -> bool:
        return self._dice.random() < odds
