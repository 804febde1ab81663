"""`uwsd user`, and the file that it writes while servers read it."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from uwsd.auth.passwords import Passwords, hashed
from uwsd.auth.users import Users, UsersError
from uwsd.cli import main


def user(data: Path, *words: str, given: str | bytes | None = None) -> Result:
    return CliRunner(env={"UWSD_DATA": str(data)}).invoke(main, ["user", *words], input=given)


def test_add_list_and_remove(tmp_path: Path) -> None:
    assert user(tmp_path, "list").output == ""
    added = user(tmp_path, "add", "bob", "--password-stdin", given="größer\r\n")
    assert (added.exit_code, added.output) == (0, "bob can log in from now on\n")
    user(tmp_path, "add", "alice@example.org", "--password-stdin", given="a:b ")
    assert user(tmp_path, "list").output == "alice@example.org\nbob\n"
    file = tmp_path / "users"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "größer" not in file.read_text()
    known = Users(file).hashes()
    assert Passwords().match(known, "bob", "größer".encode())
    assert Passwords().match(known, "alice@example.org", b"a:b ")
    again = user(tmp_path, "add", "bob", "--password-stdin", given="other")
    assert again.output == "bob has another password from now on\n"
    assert not Passwords().match(Users(file).hashes(), "bob", "größer".encode())
    assert user(tmp_path, "remove", "bob").output == "bob cannot log in any more\n"
    assert user(tmp_path, "list").output == "alice@example.org\n"


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        (["add", "a:b", "--password-stdin"], "x", "a user's name has up to 64 of A-Z a-z"),
        (["add", "", "--password-stdin"], "x", "a user's name"),
        (["add", "a" * 65, "--password-stdin"], "x", "a user's name"),
        (["add", "jürgen", "--password-stdin"], "x", "a user's name"),
        (["add", "a\n", "--password-stdin"], "x", "a user's name"),
        (["add", "a", "--password-stdin"], "", "the password is empty"),
        (["add", "a", "--password-stdin"], "\n", "the password is empty"),
        (["add", "a", "--password-stdin"], "x\ny", "control character"),
        (["add", "a", "--password-stdin"], "x" * 1025, "more than 1024 bytes"),
        (["add", "a", "--password-stdin"], b"\xff", "the password is not UTF-8"),
        (["add", "a"], "x", "there is no terminal to ask on; use --password-stdin"),
        (["remove", "carol"], "", "there is no user 'carol' in"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, words: list[str], given: str, says: str
) -> None:
    done = user(tmp_path, *words, given=given)
    assert (done.exit_code, says in done.output) == (1, True), done.output
    assert done.output.count("\n") == 1
    assert not (tmp_path / "users").exists()


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("alice:secret\n", 0o600, ":1: a line is a name, a colon and an argon2id hash"),
        ("# ours\n\nalice\n", 0o600, ":3: a line is"),
        ("a b:{hash}\n", 0o600, ":1: a line is"),
        ("alice:{hash}\nalice:{hash}\n", 0o600, ":2: alice is here twice"),
        ("alice:{hash}\n", 0o644, "too many may read or write"),
        ("alice:{hash}\n", 0o620, "too many may read or write"),
        ("jürgen:{hash}\n", 0o600, "more than ASCII"),
    ],
)
def test_a_broken_file_lets_nobody_in(tmp_path: Path, text: str, mode: int, says: str) -> None:
    file = tmp_path / "users"
    file.write_text(text.replace("{hash}", hashed("x")))
    file.chmod(mode)
    with pytest.raises(UsersError, match=says):
        Users(file).hashes()
    for words in (["list"], ["add", "bob", "--password-stdin"], ["remove", "alice"]):
        done = user(tmp_path, *words, given="x")
        assert (done.exit_code, says in done.output) == (1, True), done.output
        assert "secret" not in done.output
    check = CliRunner(env={"UWSD_DATA": str(tmp_path)}).invoke(main, ["check"])
    assert (check.exit_code, says in check.output) == (1, True), check.output


def test_comments_and_a_link_to_the_file_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "real", tmp_path / "users"
    file.write_text("# ours\n\n")
    file.chmod(0o600)
    link.symlink_to(file)
    user(tmp_path, "add", "alice", "--password-stdin", given="x")
    assert link.is_symlink()
    assert file.read_text().startswith("# ours\n\nalice:$argon2id$")


def test_many_who_add_at_once_lose_nobody_and_readers_see_no_half(tmp_path: Path) -> None:
    file, stop = tmp_path / "users", threading.Event()
    names, hash_ = [f"user{n:02}" for n in range(20)], hashed("x")

    def read() -> list[int]:
        users, seen = Users(file), [0]
        while not stop.is_set():
            seen.append(len(users.hashes()))
        return seen

    with ThreadPoolExecutor() as readers, ThreadPoolExecutor(len(names)) as writers:
        seen = readers.submit(read)
        try:
            assert all(writers.map(lambda name: Users(file).set(name, hash_), names))
        finally:
            stop.set()
    assert sorted(Users(file).hashes()) == names
    assert seen.result() == sorted(seen.result())
