"""Odd requests: good ones of which one or two parts, and sometimes some bytes, are exchanged.

`Odd` throws dice only, so that the same dice make the same requests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

MARK = b"<uwsd-fuzz>"
"""Markup that must never come back unescaped in HTML."""

INJECTED = b"X-Uwsd-Fuzz"
"""A header that no answer may have."""

ID = b"$JOB"
METHODS = (*[b"GET"] * 8, *[b"POST"] * 10, b"HEAD", b"PUT", b"DELETE", b"OPTIONS")
ODD_METHODS = (
    b"TRACE",
    b"PATCH",
    b"CONNECT",
    b"PROPFIND",
    b"get",
    b"",
    b"G ET",
    b"GET\0",
    b"X" * 999,
)
LEAVES = (
    *(b"phase", b"executionduration", b"destruction", b"error", b"quote", b"results", b"parameters", b"owner"),
    *(b"results/result", b"results/stdout", b"parameters/TEXT", b"parameters/FILE", b"nosuch"),
)  # fmt: skip
PLACES = (
    *(b"/", b"/demo", b"/demo/async", b"/checksum/async", b"/capabilities", b"/demo/capabilities"),
    *(b"/healthz", b"/static/uwsd.css", b"/nosuch/async", b"/demo/async/" + ID),
    *(b"/demo/async/" + ID + b"/" + leaf for leaf in LEAVES),
    *(b"/checksum/async/" + ID + b"/parameters/FILE", b"/demo/async/$DONE/results/result"),
)
NAMES = (
    *(b"PHASE", b"RUNID", b"EXECUTIONDURATION", b"DESTRUCTION", b"ACTION", b"UPLOAD", b"WAIT", b"AFTER"),
    *(b"LAST", b"TEXT", b"SECONDS", b"EXIT", b"FILE", b"phase", b"Wait", b"runid", b"other"),
)  # fmt: skip
LIST = (b"PHASE", b"RUNID", b"TEXT", b"SECONDS", b"EXIT", b"FILE", b"UPLOAD", b"other")
TAKES = {
    b"/demo/async": LIST,
    b"/checksum/async": LIST,
    b"/demo/async/" + ID: (b"ACTION", b"PHASE"),
    b"/demo/async/" + ID + b"/phase": (b"PHASE",),
    b"/demo/async/" + ID + b"/destruction": (b"DESTRUCTION",),
    b"/demo/async/" + ID + b"/executionduration": (b"EXECUTIONDURATION",),
    b"/demo/async/" + ID + b"/parameters": LIST[1:],
}
"""What takes a POST, and of which fields."""

VALUES = (
    *(b"RUN", b"ABORT", b"DELETE", b"PENDING", b"COMPLETED", b"0", b"1", b"-1", b"3", b"hello"),
    *(b"2026-11-24T03:58:00Z", b"2999-01-01", b"FILE,param:part", b"param:part", b"FILE,http://127.0.0.1:1/"),
)  # fmt: skip
ODDITIES = (
    *(b"", b"%", b"%0", b"%zz", b"%00", b"a%00b", b"%ff%fe", b"%ed%a0%80", b"%ef%bf%be", b"%c2%85", b"%e2%80%ae"),
    *(b"%0d%0a" + INJECTED + b":%201", b"%0a%0aTraceback", b"%1b[2J", b"\r\n" + INJECTED + b": 1", b"\n", b"\0", b"\xff\xfe"),
    *(MARK, MARK.replace(b"<", b"%3C").replace(b">", b"%3E"), b"'\"><", b"&lt;", b"]]>", b"<!DOCTYPE x>"),
    *(b"..", b".", b"../../etc/passwd", b"..%2f..%2fuwsd.db", b"%2e%2e/%2e%2e", b"..%5c..%5c", b"//", b"%2f%2f", b"/", b"C:\\", b"CON"),
    *(b"9" * 18, b"9" * 19, b"9" * 5000, b"-0", b"1e999", b"NaN", b"0x1", b"1_0", b" 1", b"%D9%A3", b"1.5"),
    *(b"0000-01-01", b"0001-01-01", b"9999-12-31T23:59:59.999Z", b"2026-02-30", b"2026-W01", b"2026-01-01T00:00:00%2B01:00"),
    *(b"x" * 65, b"x" * 4000, b"x" * 70000, b"%41" * 2000, b"{TEXT}", b"%s%n", b"${jndi:x}", b"; id", b"$(id)", b"--help"),
    *(b"FILE,param:", b"FILE,param:" + MARK, b"FILE,file:///etc/passwd", b"param:../x", b"a,b,c", b"=", b"&", b";", b"?", b"#", b"+"),
)  # fmt: skip
HEADERS = (
    *(b"Accept: text/html,application/xhtml+xml", b"Accept: application/xml", b"Range: bytes=0-0", b"Range: bytes=-1"),
    *(b"Accept: text/html;q=nan,application/xhtml+xml;q=1e999", b"Accept: " + b"a/b;q=0.1," * 900, b"Accept: ;;,,/"),
    *(b"Accept: application/xml;q=\xb2", b"Range: bytes=1-0", b"Range: bytes=0-0,1-1,5-", b"Range: lines=1-2", b"Range: bytes"),
    *(b"Range: bytes=" + b"9" * 5000 + b"-", b"Range: bytes=-" + b"9" * 30, b"Range: bytes=a-b", b"Range: bytes=0-0," * 500),
    *(b"If-Range: Thu, 01 Jan 1970 00:00:00 +99999999999999", b"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 -99999999999999"),
    *(b"If-Modified-Since: Thu, 01 Jan 99999 00:00:00 GMT", b'If-None-Match: W/"', b"If-None-Match: *", b'If-Match: "x"'),
    *(b"Host: evil.example", b"Host: [::1%25<uwsd-fuzz>]:$PORT", b"Host: [[::1]]:$PORT", b"Host: ::1:$PORT", b"Host: [:$PORT"),
    *(b"Host: 127.0.0.1:0$PORT", b"Host: localhost:$PORT", b"Host:", b"Host: 127.1:$PORT", b"Host: \xff:$PORT"),
    *(b"Content-Type: text/xml", b"Content-Type: " + MARK, b"Content-Type: application/x-www-form-urlencoded; charset=utf-16"),
    *(b"Content-Type: multipart/form-data", b"Content-Type: multipart/form-data; boundary=", b"Content-Type: multipart/mixed; boundary=XX"),
    *(b"Content-Type: multipart/form-data; boundary=" + b"b" * 9000, b"Content-Type: multipart/form-data; boundary*=utf-16''%ff"),
    *(b"Content-Type: multipart/form-data; boundary=\xff", b"Content-Type: multipart/form-data; boundary=(.*)+", b"Content-Type: \xff/;;="),
    *(b"Content-Encoding: gzip", b"Expect: 100-continue", b"Expect: 200-ok", b"Upgrade: h2c", b"Connection: keep-alive, x", b"TE: trailers"),
    *(b"Content-Length: -1", b"Content-Length: 1", b"Content-Length: 99999999999999999999", b"Content-Length: 0x1", b"Content-Length: +1"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: \x0bchunked"),
    *(b"X-Forwarded-Host: evil.example", b"X-Forwarded-Prefix: /" + MARK, b"Forwarded: host=evil.example", b"SCRIPT_NAME: /x", b"Path-Info: /x"),
    *(b"Authorization: Basic Og==", b"Authorization: Basic \xff", b"Authorization: Bearer " + b"x" * 9000, b"Cookie: " + b"a=" * 4000),
    *(b" folded: 1", b"no colon", b": nameless", b"Spa ce: 1", b"Nul\0: 1", b"X: \0", b"X: \x1b[2J", b"X" * 17000 + b": 1", b"X: " + b"x" * 17000),
    *(b"\r\n".join([b"X: 1"] * 70), b"X: 1\r" + INJECTED + b": 1"),
)  # fmt: skip
PARTS = (
    *(b'form-data; name="TEXT"', b'form-data; name="FILE"; filename="a.txt"', b'form-data; name="part"; filename="b.fits"'),
    *(b"form-data", b'form-data; name=""', b'form-data; name="FILE"; filename="../../../etc/cron.d/x"', b'form-data; name="FILE"; filename=""'),
    *(b'form-data; name="FILE"; filename="..\\..\\a\0b"', b'form-data; name="FILE"; filename="' + b"x" * 5000 + b'"', b"attachment"),
    *(b"form-data; name*=utf-8''FILE; filename*=utf-8''%ed%a0%80%0d%0a", b'form-data; name="\xff"', b'form-data; name="' + MARK + b'"'),
    *(b'form-data; name="FI\nLE"; filename="x"', b'form-data; name="TEXT"; filename="x"', b'form-data; name="PHASE"', b";;;=", b""),
)  # fmt: skip
MEDIA_TYPES = (
    *(b"text/plain", b"text/html", b"image/svg+xml", b"", b"\0", b"text/plain; x=\xe6\x97\xa5", b"text/plain\x0b", b"\x1b[2J"),
    *(b"x" * 9000, b"text/html; charset=utf-7", b"text/plain\r\n " + INJECTED + b": 1", b"\xff", b'a/b; "'),
)  # fmt: skip
TYPES = {
    "form": b"Content-Type: application/x-www-form-urlencoded",
    "multi": b"Content-Type: multipart/form-data; boundary=XX",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one connection sends; ``$JOB`` and the like are still to be filled in."""

    pieces: list[bytes]  #: one after the other, with a short pause between
    methods: list[bytes]  #: of its requests, as far as they can be told
    broken: bool = False  #: whether no server may take it for a whole request
    hangs_up: bool = False  #: whether the client leaves without reading the answer


class Odd:
    """Makes attempts."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def attempt(self) -> Attempt:
        """Return what the next connection sends."""
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
        method = self._pick(METHODS, ODD_METHODS, 0.02)
        place = self._pick(tuple(TAKES) if method == b"POST" else PLACES, PLACES, 0.1)
        names = TAKES.get(place, NAMES)
        kind, body = self._body(names) if method in (b"POST", b"PUT") else ("none", b"")
        headers = [b"Host: $HOST", *([TYPES[kind]] if kind in TYPES else [])]
        if self._chance(0.8):
            headers += self._framing(body)
        else:
            headers, body = [*headers, b"Transfer-Encoding: chunked"], self._chunked(body)
        for _ in range(self._dice.choice((0, 0, 0, 0, 1, 1, 2))):
            self._dress(headers, self._dice.choice(HEADERS))
        version = self._pick((b"HTTP/1.1",), (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b""), 0.02)
        target = self._target(place, NAMES if method == b"GET" else names)
        return method, b"\r\n".join([b" ".join((method, target, version)), *headers, b"", body])

    def _target(self, path: bytes, names: tuple[bytes, ...]) -> bytes:
        changes = ((self._odd_segment, 0.08), (self._respelled, 0.05), (self._odd_scheme, 0.02))
        for change, odds in changes:
            path = change(path) if self._chance(odds) else path
        count = self._dice.choice((0, 0, 0, 0, 1, 1, 2))
        return path + b"?" + self._form(count, names) if count else path

    def _odd_segment(self, path: bytes) -> bytes:
        segments = path.split(b"/")
        segments[self._dice.randrange(len(segments))] = self._dice.choice(ODDITIES)
        return b"/".join(segments)

    def _respelled(self, path: bytes) -> bytes:
        spellings: tuple[Callable[[bytes], bytes], ...] = (
            lambda p: p.replace(b"/", b"//"),
            lambda p: p + b"/",
            lambda p: p.replace(ID, b"$UPPER"),
            lambda p: p.replace(ID, b"{$JOB}"),
            lambda p: p.replace(ID, b"$HEX"),
            lambda p: p.replace(ID, b"$JOB%0a"),
            lambda p: p.replace(b"a", b"%61"),
            lambda p: b"/demo/.." + p,
        )
        return self._dice.choice(spellings)(path)

    def _odd_scheme(self, path: bytes) -> bytes:
        return (
            self._dice.choice(
                (b"http://evil.example", b"*", b"", b"file://", b"//evil.example", b"\xff")
            )
            + path
        )

    def _form(self, count: int, names: tuple[bytes, ...]) -> bytes:
        return b"&".join(
            self._pick(names, ODDITIES, 0.05) + b"=" + self._pick(VALUES, ODDITIES, 0.25)
            for _ in range(count)
        )

    def _body(self, names: tuple[bytes, ...]) -> tuple[str, bytes]:
        match self._dice.randrange(12):
            case 0:
                return "none", self._dice.choice(ODDITIES)
            case 1:
                return "form", self._dice.choice(
                    (
                        b"a=1&" * 3000,
                        b"&" * 9000,
                        b"=" * 9000,
                        b"%" * 9000,
                        b"a" * 3_000_000,
                        b"&".join([b"a=" + b"x" * 60_000] * 30),
                    )
                )
            case 2 | 3 | 4 | 5:
                return "multi", self._multipart()
            case _:
                return "form", self._form(self._dice.choice((0, 1, 1, 1, 2, 3)), names)

    def _multipart(self) -> bytes:
        count = self._dice.choice((0, 1, 1, 2, 2, 3, 300))
        parts = [self._part() for _ in range(count)]
        end = self._pick(
            (b"--XX--\r\n",),
            (b"", b"--XX", b"--XX--", b"--XY--\r\n", b"\r\n--XX--\r\n--XX--\r\n"),
            0.2,
        )
        return self._pick((b"",), (b"preamble\r\n", b"\r\n", b"--X"), 0.1) + b"".join(parts) + end

    def _part(self) -> bytes:
        headers = [b"Content-Disposition: " + self._pick(PARTS[:3], PARTS, 0.2)]
        if self._chance(0.4):
            headers.append(b"Content-Type: " + self._dice.choice(MEDIA_TYPES))
        if self._chance(0.05):
            headers.append(
                self._dice.choice(
                    (
                        b"no colon",
                        b": 1",
                        b"\xff: \xff",
                        b"Content-Transfer-Encoding: base64",
                        b"X: " + b"x" * 9000,
                    )
                )
            )
        content = self._pick(VALUES, ODDITIES, 0.25)
        return b"--XX\r\n" + b"\r\n".join([*headers, b"", content, b""])

    def _framing(self, body: bytes) -> list[bytes]:
        if not body and self._chance(0.5):
            return []
        length = len(body)
        lengths = (
            [length]
            if self._chance(0.9)
            else self._dice.choice(
                ([length + 9], [max(0, length - 3)], [length, length], [length, 0], [])
            )
        )
        return [b"Content-Length: %d" % n for n in lengths]

    def _chunked(self, body: bytes) -> bytes:
        size = self._dice.choice((1, 7, 1000, 60_000)) if len(body) < 9000 else 60_000
        chunks = [
            b"%x\r\n%s\r\n" % (len(c), c)
            for c in (body[at : at + size] for at in range(0, len(body), size))
        ]
        if self._chance(0.1):
            odd = (
                b"zz\r\na\r\n",
                b"-1\r\n",
                b"5\r\nab\r\n",
                b"1;x=" + MARK + b"\r\na\r\n",
                b"f" * 40 + b"\r\n",
                b"1\na\n",
                b"0x1\r\na\r\n",
            )
            chunks.insert(self._dice.randint(0, len(chunks)), self._dice.choice(odd))
        end = self._pick(
            (b"0\r\n\r\n",),
            (b"", b"0\r\n", b"0\r\n" + INJECTED + b": 1\r\n\r\n", b"0\r\n: \r\n\r\n"),
            0.15,
        )
        return b"".join(chunks) + end

    def _cut_short(self) -> Attempt:
        """A request that ends before its end; none may make a job."""
        body = self._form(2, LIST)
        head = b"POST /demo/async HTTP/1.1\r\nHost: $HOST\r\n" + TYPES["form"]
        framing, rest = self._dice.choice(
            (
                (b"Content-Length: %d" % (len(body) + 99), b""),
                (b"Transfer-Encoding: chunked", b"ffff\r\n"),
            )
        )
        wire = b"\r\n".join([head, framing, b"", rest + body])
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
            new = self._dice.choice(
                (b"", wire[at:end] * 2, self._dice.randbytes(2), self._dice.choice(ODDITIES))
            )
            wire = wire[:at] + new + wire[end:]
        return wire

    def _slowly(self, wire: bytes) -> list[bytes]:
        cuts = sorted(self._dice.randrange(len(wire)) for _ in range(5))
        return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    def _pick(self, good: tuple[bytes, ...], odd: tuple[bytes, ...], odds: float) -> bytes:
        return self._dice.choice(odd if self._chance(odds) else good)

    def _chance(self, odds: float) -> bool:
        return self._dice.random() < odds
