r"""The words of odd requests, one a line; ``\xff`` and the like are escapes, as in Python.

``$JOB``, ``$DONE``, ``$HOST`` and ``$PORT`` are filled in when a request is sent.
"""

MARK = b"<uwsd-fuzz>"
"""Markup that must never come back unescaped in HTML."""

INJECTED = b"X-Uwsd-Fuzz"
"""A header that no answer may have."""


def _words(text: str, *more: bytes) -> tuple[bytes, ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (*(w.encode().decode("unicode_escape").encode("latin-1") for w in lines), *more)


METHODS = (*[b"GET"] * 8, *[b"POST"] * 10, b"HEAD", b"PUT", b"DELETE", b"OPTIONS")
ODD_METHODS = (b"TRACE", b"PATCH", b"CONNECT", b"get", b"", b"G ET", b"GET\0", b"X" * 999)
ODD_VERSIONS = (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"")
ODD_SCHEMES = (b"http://evil.example", b"*", b"", b"file://", b"//evil.example", b"\xff")

PLACES = _words("""
    /
    /demo
    /demo/async
    /demo/async/$JOB
    /demo/async/$JOB/phase
    /demo/async/$JOB/executionduration
    /demo/async/$JOB/destruction
    /demo/async/$JOB/error
    /demo/async/$JOB/quote
    /demo/async/$JOB/owner
    /demo/async/$JOB/parameters
    /demo/async/$JOB/parameters/TEXT
    /demo/async/$JOB/parameters/FILE
    /demo/async/$JOB/results
    /demo/async/$JOB/results/stdout
    /demo/async/$JOB/nosuch
    /demo/async/$DONE/results/result
    /demo/capabilities
    /checksum/async
    /checksum/async/$JOB
    /nosuch/async
    /capabilities
    /healthz
    /static/uwsd.css
""")
NAMES = _words("""
    PHASE
    RUNID
    EXECUTIONDURATION
    DESTRUCTION
    ACTION
    UPLOAD
    TEXT
    SECONDS
    EXIT
    FILE
    Wait
    AFTER
    last
    other
""")
OF_A_JOB = (b"RUNID", b"TEXT", b"SECONDS", b"EXIT", b"FILE", b"UPLOAD", b"other")
TAKES = {
    b"/demo/async": (b"PHASE", *OF_A_JOB),
    b"/checksum/async": (b"PHASE", *OF_A_JOB),
    b"/demo/async/$JOB": (b"ACTION", b"PHASE"),
    b"/demo/async/$JOB/phase": (b"PHASE",),
    b"/demo/async/$JOB/destruction": (b"DESTRUCTION",),
    b"/demo/async/$JOB/executionduration": (b"EXECUTIONDURATION",),
    b"/demo/async/$JOB/parameters": OF_A_JOB,
}
"""What takes a POST, and of which fields."""

VALUES = _words("""
    RUN
    ABORT
    DELETE
    PENDING
    COMPLETED
    0
    1
    -1
    3
    hello
    2026-11-24T03:58:00Z
    2999-01-01
    FILE,param:part
    param:part
    FILE,http://127.0.0.1:1/
""")
ODDITIES = _words(
    r"""
    %
    %0
    %zz
    %00
    a%00b
    %ff%fe
    %ed%a0%80
    %ef%bf%be
    %c2%85
    %e2%80%ae
    %0d%0aX-Uwsd-Fuzz:%201
    \r\nX-Uwsd-Fuzz: 1
    %0a%0aTraceback
    %1b[2J
    \n
    \0
    \xff\xfe
    <uwsd-fuzz>
    %3Cuwsd-fuzz%3E
    '"><
    &lt;
    ]]>
    <!DOCTYPE x>
    ..
    .
    ../../etc/passwd
    ..%2f..%2fuwsd.db
    %2e%2e/%2e%2e
    ..%5c..%5c
    //
    %2f%2f
    a%2f%2fb
    /
    C:\\
    CON
    -0
    1e999
    NaN
    0x1
    1_0
    %201
    %D9%A3
    1.5
    999999999999999999
    9999999999999999999
    0000-01-01
    0001-01-01
    9999-12-31T23:59:59.999Z
    2026-02-30
    2026-W01
    2026-01-01T00:00:00%2B01:00
    {TEXT}
    %s%n
    ${jndi:x}
    ; id
    $(id)
    --help
    FILE,param:
    FILE,param:<uwsd-fuzz>
    FILE,file:///etc/passwd
    param:../x
    a,b,c
    =
    &
    ;
    ?
    #
    +
    """,
    *(b"", b"9" * 5000, b"x" * 65, b"x" * 4000, b"x" * 70000, b"%41" * 2000),
)
ODD_FORMS = (
    *(b"a=1&" * 3000, b"&" * 9000, b"=" * 9000, b"%" * 9000),
    *(b"a" * 3_000_000, b"&".join([b"a=" + b"x" * 60_000] * 30)),
)

HEADERS = _words(
    r"""
    Accept: text/html,application/xhtml+xml
    Accept: application/xml
    Accept: application/xml;q=\xb2
    Accept: text/html;q=nan,application/xhtml+xml;q=1e999
    Accept: ;;,,/
    Range: bytes=0-0
    Range: bytes=-1
    Range: bytes=1-0
    Range: bytes=0-0,1-1,5-
    Range: lines=1-2
    Range: bytes
    Range: bytes=a-b
    Range: bytes=-999999999999999999999999999999
    If-Range: Thu, 01 Jan 1970 00:00:00 +99999999999999
    If-Modified-Since: Thu, 01 Jan 1970 00:00:00 -99999999999999
    If-Modified-Since: Thu, 01 Jan 99999 00:00:00 GMT
    If-None-Match: W/"
    If-None-Match: *
    If-Match: "x"
    Host:
    Host: evil.example
    Host: [::1%25<uwsd-fuzz>]:$PORT
    Host: [[::1]]:$PORT
    Host: ::1:$PORT
    Host: [:$PORT
    Host: 127.0.0.1:0$PORT
    Host: 127.1:$PORT
    Host: localhost:$PORT
    Host: \xff:$PORT
    Content-Type: text/xml
    Content-Type: <uwsd-fuzz>
    Content-Type: \xff/;;=
    Content-Type: application/x-www-form-urlencoded; charset=utf-16
    Content-Type: multipart/form-data
    Content-Type: multipart/form-data; boundary=
    Content-Type: multipart/form-data; boundary=\xff
    Content-Type: multipart/form-data; boundary=(.*)+
    Content-Type: multipart/form-data; boundary*=utf-16''%ff
    Content-Type: multipart/mixed; boundary=XX
    Content-Encoding: gzip
    Content-Length: -1
    Content-Length: +1
    Content-Length: 1
    Content-Length: 0x1
    Content-Length: 99999999999999999999
    Transfer-Encoding: chunked
    Transfer-Encoding: chunked, chunked
    Transfer-Encoding: gzip
    Transfer-Encoding: \x0bchunked
    Connection: keep-alive, x
    Expect: 100-continue
    Expect: 200-ok
    Upgrade: h2c
    TE: trailers
    X-Forwarded-Host: evil.example
    X-Forwarded-Prefix: /<uwsd-fuzz>
    Forwarded: host=evil.example
    SCRIPT_NAME: /x
    Path-Info: /x
    Authorization: Basic Og==
    Authorization: Basic \xff
    no colon
    : nameless
    Spa ce: 1
    Nul\0: 1
    X: \0
    X: \x1b[2J
    X: 1\rX-Uwsd-Fuzz: 1
    """,
    *(b" folded: 1", b"\r\n".join([b"X: 1"] * 70), b"X" * 17000 + b": 1", b"X: " + b"x" * 17000),
    *(b"Accept: " + b"a/b;q=0.1," * 900, b"Range: bytes=" + b"0-0," * 500),
    *(b"Range: bytes=" + b"9" * 5000 + b"-", b"Content-Type: multipart/form-data; boundary=" + b"b" * 9000),
    *(b"Authorization: Bearer " + b"x" * 9000, b"Cookie: " + b"a=" * 4000),
)  # fmt: skip
PARTS = _words(r"""
    form-data; name="TEXT"
    form-data; name="FILE"; filename="a.txt"
    form-data; name="part"; filename="b.fits"
""")
ODD_PARTS = _words(
    r"""
    form-data
    form-data; name=""
    form-data; name="\xff"
    form-data; name="<uwsd-fuzz>"
    form-data; name="PHASE"
    form-data; name="TEXT"; filename="x"
    form-data; name="FILE"; filename=""
    form-data; name="FILE"; filename="../../../etc/cron.d/x"
    form-data; name="FILE"; filename="..\\..\\a\0b"
    form-data; name="FI\nLE"; filename="x"
    form-data; name*=utf-8''FILE; filename*=utf-8''%ed%a0%80%0d%0a
    attachment
    ;;;=
    """,
    b'form-data; name="FILE"; filename="' + b"x" * 5000 + b'"',
)
LONG_FILE = b"--XX\r\nContent-Disposition: " + PARTS[1] + b"\r\n\r\n" + b"x" * 1_500_000
PART_HEADERS = (b"no colon", b": 1", b"\xff: \xff", b"Content-Transfer-Encoding: base64", b"X: " + b"x" * 9000)  # fmt: skip
MEDIA_TYPES = _words(
    r"""
    text/plain
    text/html
    image/svg+xml
    text/html; charset=utf-7
    text/plain; x=\xe6\x97\xa5
    text/plain\x0b
    text/plain\r\n X-Uwsd-Fuzz: 1
    a/b; "
    \0
    \xff
    \x1b[2J
    """,
    *(b"", b"x" * 9000),
)
ODD_ENDS = (b"", b"--XX", b"--XX--", b"--XY--\r\n", b"\r\n--XX--\r\n--XX--\r\n")
ODD_CHUNKS = _words(r"""
    zz\r\na\r\n
    -1\r\n
    0x1\r\na\r\n
    5\r\nab\r\n
    1;x=<uwsd-fuzz>\r\na\r\n
    ffffffffffffffffffffffff\r\n
    1\na\n
""")
ODD_LAST_CHUNKS = (b"", b"0\r\n", b"0\r\n" + INJECTED + b": 1\r\n\r\n", b"0\r\n: \r\n\r\n")
