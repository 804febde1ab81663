"""What the client's tests start from: no credentials, no platform, no proxy of the developer's."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner, Result

from tests.client.otherserver import OtherServer, Quirks, Work
from uwsd.client.commands import COMMANDS

NewServer = Callable[..., OtherServer]
Uwsd = Callable[..., Result]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "UWSD_URL",
        "UWSD_TOKEN",
        "COLUMNS",
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def new_server() -> Iterator[NewServer]:
    """Start servers that end with the test."""
    with ExitStack() as stack:

        def start(*, finish: Work | None = None, **quirks: object) -> OtherServer:
            server = OtherServer(Quirks(**quirks), finish=finish)  # type: ignore[arg-type]
            return stack.enter_context(server)

        yield start


@pytest.fixture
def uwsd() -> Uwsd:
    """Run a command, as from a shell with its output in pipes."""

    def run(*arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(Group(commands=COMMANDS), arguments, input=typed)

    return run
