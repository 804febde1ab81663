"""What anonymous callers may do: everything at somebody's desk, elsewhere what was said."""

from pathlib import Path

import pytest

from uwsd.config import load
from uwsd.rights import anonymous_rights
from uwsd.uws.access import AnonymousRights

SERVICE = '[services.demo]\ncommand = ["true"]\n'
DESK = AnonymousRights(may_create=True, may_list=True)
NOBODY = AnonymousRights()


@pytest.mark.parametrize(
    ("text", "rights"),
    [
        ("", DESK),
        ("[server]\nhost = '::1'\n", DESK),
        ("[server]\nhost = 'localhost'\n", DESK),
        ("[server]\nbase_url = 'http://127.0.0.1:9000/x'\n", DESK),
        ("[server]\nbase_url = 'https://LocalHost'\n", DESK),
        ("[server]\nhost = '0.0.0.0'\n", NOBODY),
        ("[server]\nhost = '192.0.2.1'\n", NOBODY),
        ("[server]\nhost = 'jobs.example.org'\n", NOBODY),
        ("[server]\nbase_url = 'https://jobs.example.org'\n", NOBODY),
        ("[server]\nbase_url = 'https://127.0.0.1.example.org'\n", NOBODY),
        ("[server]\nbase_url = 'https://localhost@example.org'\n", NOBODY),
        ("[server]\ntrusted_proxies = ['127.0.0.1']\n", NOBODY),
        ("[auth]\nanonymous = false\n", AnonymousRights(may_list=True)),
        ("[auth]\nlist_anonymous = false\n", AnonymousRights(may_create=True)),
        (
            "[server]\nhost = '0.0.0.0'\n[auth]\nanonymous = true\n",
            AnonymousRights(may_create=True),
        ),
        ("[auth]\nanonymous = false\nlist_anonymous = false\n", NOBODY),
        (f"{SERVICE}anonymous = false\n", AnonymousRights(may_list=True)),
        (f"[server]\nhost = '::'\n{SERVICE}anonymous = true\n", AnonymousRights(may_create=True)),
        (f"[auth]\nanonymous = true\n{SERVICE}anonymous = false\n", AnonymousRights(may_list=True)),
        (
            f"{SERVICE}fetch.anonymous = true\n",
            AnonymousRights(may_create=True, may_list=True, may_fetch=True),
        ),
    ],
)
def test_a_desk_is_open_and_nothing_else_is(
    tmp_path: Path, text: str, rights: AnonymousRights
) -> None:
    config = tmp_path / "uwsd.toml"
    config.write_text(text if SERVICE in text else text + SERVICE)
    assert anonymous_rights(load(config, {}))["demo"] == rights
