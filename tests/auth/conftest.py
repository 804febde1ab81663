"""A site that is not somebody's desk: with users, a trusted proxy, open and closed services."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from tests.serving import Server
from uwsd.cli import main

PROXY = "127.0.0.2"  # nothing else of the tests sends from there
SECRET = "0123456789abcdef-proxy"
PASSWORDS = {"alice": "correct horse", "bob": "größer:als"}

CONFIG = f"""
[server]
trusted_proxies = ["{PROXY}"]

[auth]
proxy_header = "X-Remote-User"
proxy_secret = "{SECRET}"

[services.closed]
command = ["cat", "{{FILE}}"]
parameters.FILE = {{ type = "file" }}
parameters.TEXT = {{}}

[services.open]
command = ["cat", "{{FILE}}"]
parameters.FILE = {{ type = "file" }}
anonymous = true

[services.fetching]
command = ["cat", "{{FILE}}"]
parameters.FILE = {{ type = "file" }}
anonymous = true
fetch.anonymous = true

[services.function]
capability = "function"
function = "sizes:size"
anonymous = true
"""
FUNCTION = "from pathlib import Path\n\ndef size(file: Path): return file.stat().st_size\n"


class Site(Server):
    """A server whose configuration and users are in the folder of its data."""

    def user(self, *words: str, password: str | None = None) -> str:
        """Run `uwsd user` as its admin does."""
        given = ("--password-stdin",) if password is not None else ()
        done = CliRunner(env={"UWSD_DATA": str(self.data)}).invoke(
            main, ["user", *words, *given, "--config", str(self.config)], input=password
        )
        assert done.exit_code == 0, done.output
        return done.output

    @property
    def config(self) -> Path:
        return self.data.parent / "uwsd.toml"


def new_site(folder: Path, config: str = CONFIG, **environment: str) -> Site:
    (folder / "sizes.py").write_text(FUNCTION)
    (folder / "uwsd.toml").write_text(config)
    site = Site(folder / "data", folder / "uwsd.toml", **environment)
    for name, password in PASSWORDS.items():
        site.user("add", name, password=password)
    return site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that tests share: they leave its users alone."""
    site = new_site(tmp_path_factory.mktemp("auth"))
    site.start()
    yield site
    assert site.stop() == 0, site.log
    assert "Traceback" not in site.log


class FromProxy(HTTPAdapter):
    """Sends from the address of the proxy."""

    def init_poolmanager(self, *args: object, **kwargs: object) -> None:
        super().init_poolmanager(*args, **kwargs, source_address=(PROXY, 0))  # type: ignore[arg-type]


def session(name: str | None = None, password: str | None = None) -> requests.Session:
    """Return a session of somebody who logs in, or of nobody."""
    made = requests.Session()
    made.trust_env = False
    if name is not None:
        given = PASSWORDS[name] if password is None else password
        made.auth = HTTPBasicAuth(name.encode(), given.encode())
    return made


def proxied(name: str | None, secret: str | None = SECRET) -> requests.Session:
    """Return a session through the proxy, which names a user."""
    made = session()
    made.mount("http://", FromProxy())
    headers = {"X-Remote-User": name, "X-Uwsd-Proxy-Secret": secret}
    made.headers.update({n: v for n, v in headers.items() if v is not None})
    return made
