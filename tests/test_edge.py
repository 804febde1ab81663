"""The edge of the network: under which URL a request came in, and which headers are believed."""

from ipaddress import ip_network

import pytest
import requests
from werkzeug.test import create_environ, run_wsgi_app
from werkzeug.wrappers import Request, Response

from tests.serving import Server
from uwsd.edge import Edge


@Request.application
def echo(request: Request) -> Response:
    """Tell what came through."""
    return Response(f"{request.environ['uwsd.base_url']} {request.environ['PATH_INFO']}")


def ask(edge: Edge, path: str = "/a", **environ: str) -> tuple[int, str]:
    defaults = {"HTTP_HOST": "127.0.0.1:80", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1"}
    asked = create_environ(path, environ_overrides=defaults | environ)
    body, status, _ = run_wsgi_app(edge, asked)
    return int(status[:3]), b"".join(body).decode().strip()


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("127.0.0.1:8080", "8080"),
        ("127.9.9.9:8080", "8080"),
        ("localhost:8080", "8080"),
        ("LOCALHOST:8080", "8080"),
        ("[::1]:8080", "8080"),
        ("localhost", "80"),
    ],
)
def test_a_loopback_name_with_its_port_is_answered(host: str, port: str) -> None:
    status, text = ask(Edge(echo), HTTP_HOST=host, SERVER_PORT=port)
    assert (status, text) == (200, f"http://{host} /a")


@pytest.mark.parametrize(
    "host",
    ["", "example.org", "example.org:80", "127.0.0.1:81", "127.0.0.1.example.org", "0.0.0.0:80",
     "127.0.0.1:80@evil", "localhost.evil", "[::2]:80", "a b", "127.0.0.1:", "localhost:80:80",
     "[::1%evil]:80", "[[::1]]:80", "::1:80", "[127.0.0.1:80", "[:]:80"],
)  # fmt: skip
def test_any_other_host_is_refused(host: str) -> None:
    status, text = ask(Edge(echo), HTTP_HOST=host)
    assert (status, "set server.base_url" in text) == (400, True)


def test_a_refusal_has_no_body_where_none_may_be() -> None:
    environ = create_environ("/a", method="HEAD", environ_overrides={"HTTP_HOST": "example.org"})
    body, status, headers = run_wsgi_app(Edge(echo), environ)
    assert (status, b"".join(body)) == ("400 BAD REQUEST", b"")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("host", ["example.org", "", "127.0.0.1:1"])
def test_a_configured_base_url_is_the_only_one(host: str) -> None:
    edge = Edge(echo, base_url="https://jobs.example.org/uwsd/")
    assert ask(edge, HTTP_HOST=host) == (200, "https://jobs.example.org/uwsd /a")
    assert ask(edge, "/uwsd/a") == (200, "https://jobs.example.org/uwsd /a")
    assert ask(edge, "/uwsd") == (200, "https://jobs.example.org/uwsd /")
    assert ask(edge, "/uwsdx") == (200, "https://jobs.example.org/uwsd /uwsdx")


FORWARDED = {
    "HTTP_X_FORWARDED_HOST": "public.example.org",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_PREFIX": "/p",
    "HTTP_FORWARDED": "host=public.example.org",
}


def test_forwarded_headers_count_from_a_configured_proxy_only() -> None:
    proxied = Edge(echo, proxies=[ip_network("10.0.0.0/8")])
    expected = (200, "https://public.example.org/p /a")
    assert ask(proxied, REMOTE_ADDR="10.1.2.3", **FORWARDED) == expected
    assert ask(Edge(echo), SCRIPT_NAME="/evil") == (200, "http://127.0.0.1:80 /a")
    for edge, address in ((proxied, "127.0.0.1"), (Edge(echo), "10.1.2.3"), (proxied, "")):
        assert ask(edge, REMOTE_ADDR=address, **FORWARDED) == (200, "http://127.0.0.1:80 /a")


@pytest.mark.parametrize(
    ("path", "tidy"), [("//a///b//", "/a/b"), ("/", "/"), ("//", "/"), ("/a/", "/a")]
)
def test_slashes_collapse_without_a_redirect(path: str, tidy: str) -> None:
    assert ask(Edge(echo), PATH_INFO=path) == (200, f"http://127.0.0.1:80 {tidy}")


def test_a_body_with_a_content_encoding_is_refused() -> None:
    assert ask(Edge(echo), HTTP_CONTENT_ENCODING="gzip")[0] == 415
    assert ask(Edge(echo), HTTP_CONTENT_ENCODING="identity")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [{"SCRIPT_NAME": "/evil"}, {"PATH_INFO": "/evil"}, {"X-Forwarded-Host": "evil.example.org"},
     {"X-Forwarded-Prefix": "/evil"}, {"X-Forwarded-Proto": "https"}, {"Forwarded": "host=evil"},
     {"X_Forwarded_Host": "evil.example.org"}],
)  # fmt: skip
def test_nobody_chooses_our_urls_with_a_header(server: Server, headers: dict[str, str]) -> None:
    url = f"{server.url}/demo/async"
    answer = requests.post(url, headers=headers, allow_redirects=False, timeout=60)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{url}/")
    assert "evil" not in answer.headers["Location"]


@pytest.mark.parametrize(
    "host", ["", "a b", "<x>", "a:b", "a..b", "a" * 64, "[:", "[:::]", "[::1%x]", "xn--\xe9", "a/b"]
)
def test_not_even_a_proxy_may_pass_on_what_is_no_host(host: str) -> None:
    edge = Edge(echo, proxies=[ip_network("10.0.0.0/8")])
    assert ask(edge, REMOTE_ADDR="10.1.2.3", HTTP_HOST=host)[0] == 400
    assert ask(edge, REMOTE_ADDR="10.1.2.3", HTTP_HOST="[2001:db8::1]:8080")[0] == 200


def test_a_trailing_slash_does_not_lose_a_post(server: Server) -> None:
    answer = requests.post(
        f"{server.url}//demo/async/", data={"TEXT": "a"}, allow_redirects=False, timeout=60
    )
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"{server.url}/demo/async/")
