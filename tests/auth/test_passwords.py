"""Passwords over a real server: what is remembered, for how long, and who has to wait."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from argon2 import PasswordHasher

from tests.auth.conftest import CONFIG, PASSWORDS, SECRET, Site, new_site, proxied, session
from tests.serving import wait_until
from uwsd.auth.basic import Remembered
from uwsd.auth.passwords import Line, Passwords, hashed
from uwsd.uws.errors import Unavailable


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with one web process, so that all meet there."""
    few, _, _ = CONFIG.partition("[services.fetching]")
    site = new_site(tmp_path_factory.mktemp("changing"), few, UWSD_SERVER__WORKERS="1")
    site.start()
    yield site
    assert site.stop() == 0, site.log


@pytest.fixture
def changing(running: Site) -> Iterator[Site]:
    """A site whose users a test may change."""
    users = running.data / "users"
    before = users.read_text()
    yield running
    users.write_text(before)


def status(site: Site, name: str, password: str) -> int:
    with session(name, password) as by:
        return by.get(f"{site.url}/open/async", timeout=60).status_code


def test_a_changed_file_counts_at_once(changing: Site) -> None:
    assert status(changing, "alice", PASSWORDS["alice"]) == 200
    changing.user("add", "alice", password="another")
    assert status(changing, "alice", PASSWORDS["alice"]) == 401
    assert status(changing, "alice", "another") == 200
    changing.user("remove", "alice")
    assert status(changing, "alice", "another") == 401
    assert status(changing, "bob", PASSWORDS["bob"]) == 200
    changing.user("remove", "bob")
    last = requests.get(f"{changing.url}/capabilities", timeout=60)
    assert "WWW-Authenticate" not in last.headers
    assert "BasicAA" not in last.text
    assert status(changing, "bob", PASSWORDS["bob"]) == 401


def test_a_broken_file_lets_nobody_in_and_says_so_in_the_log(changing: Site) -> None:
    file = changing.data / "users"
    good = file.read_text()
    assert status(changing, "alice", PASSWORDS["alice"]) == 200
    file.write_text(f"{good}broken\n")
    answer = session("alice").get(f"{changing.url}/open/async", timeout=60)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert requests.get(f"{changing.url}/open/async", timeout=60).status_code == 200
    assert requests.get(f"{changing.url}/closed/async", timeout=60).status_code == 200
    assert "a line is a name, a colon and an argon2id hash" in changing.log
    file.write_text(good)
    assert status(changing, "alice", PASSWORDS["alice"]) == 200


def test_those_who_hash_stop_nobody_else(changing: Site) -> None:
    slow = PasswordHasher(time_cost=8, memory_cost=65536, parallelism=1).hash("x")
    (changing.data / "users").write_text(f"alice:{slow}\n")
    with ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        guesses = [pool.submit(status, changing, "alice", f"{n}") for n in range(4)]
        longest = 0.0
        while not all(guess.done() for guess in guesses):
            asked = time.monotonic()
            assert requests.get(f"{changing.url}/open/async", timeout=60).ok
            longest = max(longest, time.monotonic() - asked)
        took = time.monotonic() - began
        assert {guess.result() for guess in guesses} == {401}
    assert longest < took / 4, f"one of {took:.1f} s took {longest:.1f} s"


def test_what_was_good_is_not_hashed_again(changing: Site) -> None:
    slow = PasswordHasher(time_cost=8, memory_cost=65536, parallelism=1).hash("x")
    (changing.data / "users").write_text(f"alice:{slow}\n")
    first, *others = (_took(lambda: status(changing, "alice", "x")) for _ in range(6))
    assert max(others) < first / 4
    assert status(changing, "alice", "y") == 401


def test_two_hash_at_a_time_and_the_last_in_line_is_told() -> None:
    line, open_, inside, most = Line(patience=0.2), threading.Event(), 0, 0
    lock = threading.Lock()

    def slow() -> bool:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        open_.wait(30)
        with lock:
            inside -= 1
        return True

    with ThreadPoolExecutor(4) as pool:
        two = [pool.submit(line.run, slow) for _ in range(2)]
        wait_until(lambda: inside == 2)
        with pytest.raises(Unavailable, match="too many log in"):
            line.run(slow)
        open_.set()
        assert all(one.result(30) for one in two)
        assert all(pool.map(lambda _: line.run(slow), range(4)))
    assert most == 2


def test_nobody_s_password_takes_as_long_as_a_wrong_one() -> None:
    passwords, known = Passwords(), {"alice": hashed("x")}
    tries = [
        (
            _took(lambda: passwords.match(known, "alice", b"wrong")),
            _took(lambda: passwords.match(known, "carol", b"wrong")),
        )
        for _ in range(15)
    ]
    wrong, unknown = (statistics.median(times) for times in zip(*tries, strict=True))
    assert 0.5 < unknown / wrong < 2
    assert not passwords.match(known, "carol", b"x")


def test_credentials_are_remembered_for_a_while_and_not_too_many() -> None:
    few = Remembered(size=3)
    for n in range(5):
        few.add(b"%d" % n, f"user{n}")
    assert [few.find(b"%d" % n) for n in range(5)] == [None, None, "user2", "user3", "user4"]
    short = Remembered(seconds=0.0)
    short.add(b"a", "alice")
    wait_until(lambda: short.find(b"a") is None)


def test_no_secret_is_written_anywhere(changing: Site) -> None:
    for by in (
        session("alice"),
        session("alice", "wrong horse"),
        proxied("carol"),
        proxied("c", "x"),
    ):
        by.post(f"{changing.url}/closed/async", data={"TEXT": "a"}, timeout=60)
        by.post(f"{changing.url}/closed/async", data={"RUNID": "%"}, timeout=60)
    files = [path for path in changing.data.parent.rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files if path.name != "uwsd.toml")
    assert b"carol" in content
    for secret in (PASSWORDS["alice"], "wrong horse", SECRET):
        assert secret.encode() not in content


def _took(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began
