"""The options of ``uwsd.toml``, each with its type, its default and its help text.

The tables of a service are in `uwsd.capabilities.settings`, the options of a backend in its module.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from uwsd.capabilities.declarations import LimitSettings, Table
from uwsd.capabilities.settings import ServiceSettings
from uwsd.loopback import is_loopback

RESERVED = frozenset(
    (
        *("async", "availability", "capabilities", "direct", "examples", "executables"),
        *("healthz", "jobs", "live", "login", "metrics", "oai", "offersets", "platforms"),
        *("registry", "requests", "run", "sessions", "static", "sync"),
    )
)
"""First segments of URLs that no service can have."""

_DATABASES = ("sqlite:///", "postgresql+psycopg://")
_HEADER = r"^([A-Za-z][A-Za-z0-9-]*)?$"
_MIN_SECRET = 16
_NAME = r"^[a-z][a-z0-9-]{0,31}$"


def _check_base_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query):
        raise ValueError(f"a base URL is of the form https://host/path, not {url!r}")
    return url.rstrip("/")


def _check_database(url: SecretStr) -> SecretStr:
    if url.get_secret_value() and not url.get_secret_value().startswith(_DATABASES):
        raise ValueError(f"a database's URL begins with {' or '.join(_DATABASES)}")
    return url


def _check_network(network: str) -> str:
    ipaddress.ip_network(network)
    return network


class ServerSettings(Table):
    """How the web server is reached, and how much it takes."""

    base_url: Annotated[str, AfterValidator(_check_base_url)] = Field(
        default="",
        description="The URL under which clients reach this server; without it, only clients on "
        "this machine do, by a loopback name.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(
        default=8080, ge=0, le=65535, description="The port to listen on; 0: any that is free."
    )
    workers: int = Field(default=2, ge=1, description="How many web processes there are.")
    worker_connections: int = Field(
        default=12000,
        ge=10,
        description="How many clients one web process holds at a time. Nine of ten may be in a "
        "WAIT; what more of those there are is answered after a second.",
    )
    max_wait: int = Field(
        default=55, ge=1, le=300, description="Seconds after which any WAIT is answered."
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_check_network)], ...] = Field(
        default=(),
        description="Addresses or networks of proxies whose X-Forwarded-* headers are believed.",
    )
    max_body: int = Field(
        default=2 * 1024**2, ge=1024, description="Bytes of a request, its files aside."
    )
    max_fields: int = Field(
        default=200, ge=1, description="How many fields and files a request may have."
    )
    max_name: int = Field(default=64, ge=8, description="Bytes of a parameter's name.")
    max_value: int = Field(
        default=64 * 1024, ge=64, description="Bytes of a value; longer ones go as files."
    )

    @property
    def is_desk(self) -> bool:
        """Whether this is the server on somebody's desk: only people at this machine reach it."""
        public = urlsplit(self.base_url).hostname
        is_public = public is not None and not is_loopback(public)
        return is_loopback(self.host) and not is_public and not self.trusted_proxies

    @property
    def max_waits(self) -> int:
        """How many of a web process's clients may be in a WAIT: the others need some room, too."""
        return self.worker_connections * 9 // 10


class DataSettings(Table):
    """Where everything is kept."""

    folder: Path = Field(
        default=Path("data"),
        description="The data folder, relative to where uwsd is started; or UWSD_DATA.",
    )
    reserve: ByteSize = Field(
        default=ByteSize(256 * 1024**2),
        description='What has to be free there for new jobs to be taken, such as "10 GiB".',
    )


class DatabaseSettings(Table):
    """The database of the jobs."""

    url: Annotated[SecretStr, AfterValidator(_check_database)] = Field(
        default=SecretStr(""),
        description="SQLAlchemy's URL of a database; without one, SQLite in the data folder.",
    )


class SupervisorSettings(Table):
    """The process that talks to the backends."""

    tick: float = Field(
        default=5,
        gt=0,
        le=60,
        description="Seconds after which it looks around even if nothing has happened.",
    )


class RetentionSettings(Table):
    """What happens at a job's destruction time."""

    archive: bool = Field(
        default=False,
        description="Whether jobs become ARCHIVED then, without files, instead of being forgotten.",
    )


class AuthSettings(Table):
    """Who people are, and what they may do of whom nobody knows it."""

    anonymous: bool | None = Field(
        default=None,
        description="Whether callers who do not log in may make jobs; by default only while nobody "
        "but people at this machine reaches the server.",
    )
    list_anonymous: bool | None = Field(
        default=None,
        description="Whether jobs without an owner are listed for such callers; the same default.",
    )
    users_file: Path | None = Field(
        default=None,
        description="The file of names and hashes of passwords that `uwsd user` writes; by default "
        "`users` in the data folder.",
    )
    proxy_header: str = Field(
        default="",
        pattern=_HEADER,
        description="The header in which a trusted proxy names the user, such as X-Remote-User.",
    )
    proxy_secret: SecretStr = Field(
        default=SecretStr(""),
        description="What the proxy has to show in X-Uwsd-Proxy-Secret to be believed.",
    )

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        secret = self.proxy_secret.get_secret_value()
        if self.proxy_header and not (len(secret) >= _MIN_SECRET and secret.isascii()):
            raise ValueError(
                f"proxy_header needs a proxy_secret of at least {_MIN_SECRET} ASCII characters, "
                "such as `openssl rand -hex 32` prints"
            )
        return self


class RegistrySettings(Table):
    """What the Virtual Observatory is told of this site."""

    folder: Path = Field(
        default=Path("registry"),
        description="The folder of site.toml and of finished records, relative to where uwsd is "
        "started; without site.toml nothing is published.",
    )
    page_size: int = Field(
        default=500, ge=1, le=10_000, description="How many records a harvester gets at a time."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """One backend: its type, and the options of that type."""

    type: str
    options: BaseModel


class Settings(Table):
    """All settings; `load` makes them."""

    server: ServerSettings = ServerSettings()
    data: DataSettings = DataSettings()
    database: DatabaseSettings = DatabaseSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    retention: RetentionSettings = RetentionSettings()
    auth: AuthSettings = AuthSettings()
    registry: RegistrySettings = RegistrySettings()
    limits: LimitSettings = LimitSettings()
    services: Mapping[Annotated[str, Field(pattern=_NAME)], ServiceSettings] = {}

    backends: Mapping[str, BackendSettings] = Field(default={}, exclude=True)
    here: Path = Field(default=Path(), exclude=True)  #: the folder of the configuration file

    @field_validator("services")
    @classmethod
    def _check_services(cls, services: Mapping[str, ServiceSettings]) -> Mapping[str, Any]:
        if taken := RESERVED & services.keys():
            raise ValueError(f"{min(taken)} is a name of uwsd's own; call the service otherwise")
        return services

    @field_validator("auth")
    @classmethod
    def _check_proxy(cls, auth: AuthSettings, others: ValidationInfo) -> AuthSettings:
        server = others.data.get("server")  # not there if it is wrong itself
        if auth.proxy_header and server is not None and not server.trusted_proxies:
            raise ValueError(
                "proxy_header needs the address of the proxy in server.trusted_proxies"
            )
        return auth

    @property
    def users_file(self) -> Path:
        """The file of the users, absolute; it need not be there."""
        return (self.auth.users_file or self.folder / "users").absolute()

    @property
    def folder(self) -> Path:
        """The data folder, absolute."""
        return self.data.folder.absolute()

    @property
    def registry_folder(self) -> Path:
        """The folder of the registry's files, absolute."""
        return self.registry.folder.absolute()

    @property
    def public_url(self) -> str:
        """The URL that records hold: the configured one, or else where this machine listens."""
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        return self.server.base_url or f"http://{host}:{self.server.port}"

    @property
    def database_url(self) -> str:
        """SQLAlchemy's URL; it may hold a password."""
        return self.database.url.get_secret_value() or f"sqlite:///{self.folder / 'uwsd.db'}"
