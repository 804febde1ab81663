"""A trusted proxy's word: who may give it, and what is no word at all."""

import pytest
from requests import Session

from tests.auth.conftest import PROXY, SECRET, Site, proxied, session


def direct(**headers: str) -> Session:
    made = session()
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return made


def also(made: Session, **headers: str) -> Session:
    made.headers.update(headers)
    return made


@pytest.mark.parametrize(
    ("by", "status", "name"),
    [
        (proxied("carol"), 200, "carol"),
        (proxied("carol@example.org"), 200, "carol@example.org"),
        (proxied(None), 200, None),
        (proxied(""), 200, None),
        # with no secret, or a wrong one, it is no word
        (proxied("carol", None), 200, None),
        (proxied("carol", ""), 200, None),
        (proxied("carol", SECRET[:-1]), 200, None),
        (proxied("carol", f"{SECRET}x"), 200, None),
        (proxied("carol", f"{SECRET},{SECRET}"), 200, None),
        # who is not the proxy can know the secret and is nobody all the same
        (direct(X_Remote_User="alice", X_Uwsd_Proxy_Secret=SECRET), 200, None),
        (
            direct(X_Remote_User="alice", X_Uwsd_Proxy_Secret=SECRET, X_Forwarded_For=PROXY),
            200,
            None,
        ),
        (also(proxied(None), X_Remote_User="alice", REMOTE_USER="alice"), 200, None),
        # a name that cannot be is not taken for none
        (proxied("a b"), 401, None),
        (proxied("alice,bob"), 401, None),
        (proxied("a" * 65), 401, None),
        (proxied("j\xfcrgen"), 401, None),
        # a password comes first, and is not forgiven
        (also(proxied("carol"), Authorization="Basic YWxpY2U6d3Jvbmc="), 401, None),
        (also(proxied("carol"), Authorization="Basic Og=="), 200, "carol"),
        (also(proxied("carol"), **{"X-Forwarded-For": "192.0.2.7"}), 200, "carol"),
    ],
)  # fmt: skip
def test_only_the_proxy_is_believed(site: Site, by: Session, status: int, name: str | None) -> None:
    answer = by.get(f"{site.url}/open/async", timeout=60)
    assert (answer.status_code, answer.headers.get("X-VO-Authenticated")) == (status, name)


def test_a_wrong_secret_is_told_once(site: Site) -> None:
    for _ in range(10):
        proxied("carol", "wrong").get(f"{site.url}/open/async", timeout=60)
    told = site.log.count("X-Remote-User is ignored: no, or a wrong, X-Uwsd-Proxy-Secret")
    assert 1 <= told <= 2, "once in each of the two web processes"
