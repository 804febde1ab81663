"""Who gets the user's credentials: the host that was named, and nobody else."""

from pathlib import Path

import pytest

from tests.client.conftest import NewServer, Uwsd
from tests.client.otherserver import OtherServer

BASIC = "Basic bWU6c2VjcmV0"  # me:secret


def _sent(server: OtherServer) -> set[str | None]:
    return {one.headers.get("Authorization") for one in server.seen}


def test_a_token_goes_to_the_service_and_to_no_other_host(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UWSD_TOKEN", "t0k\n")
    storage = new_server()
    there = f"{storage.add(results={'x': ('text/plain', b'')})}/results/0"
    server = new_server(elsewhere=there)
    job = server.add(results={"a": ("text/plain", b"")})
    assert uwsd("fetch", job, "-o", str(tmp_path)).exit_code == 0
    assert (_sent(server), _sent(storage)) == ({"Bearer t0k"}, {None})


def test_a_token_for_one_site_is_not_given_to_another(
    new_server: NewServer, uwsd: Uwsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, other = new_server(), new_server()
    monkeypatch.setenv("UWSD_TOKEN", "t0k")
    monkeypatch.setenv("UWSD_URL", home.home)
    assert uwsd("jobs", home.joblist).exit_code == uwsd("jobs", other.joblist).exit_code == 0
    assert (_sent(home), _sent(other)) == ({"Bearer t0k"}, {None})


def test_a_password_is_asked_for_and_not_shown(new_server: NewServer, uwsd: Uwsd) -> None:
    server = new_server()
    run = uwsd("jobs", server.joblist, "--user", "me", typed="secret\n")
    assert run.exit_code == 0
    assert "secret" not in run.output
    assert _sent(server) == {BASIC}


def test_netrc_is_read_also_beside_a_token(
    new_server: NewServer, uwsd: Uwsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    home, other = new_server(), new_server()
    assert uwsd("jobs", other.joblist).exit_code == 0
    monkeypatch.setenv("UWSD_TOKEN", "t0k")
    monkeypatch.setenv("UWSD_URL", home.home)
    uwsd("jobs", other.joblist)
    uwsd("jobs", home.joblist)
    assert (_sent(home), _sent(other)) == ({"Bearer t0k"}, {BASIC})
