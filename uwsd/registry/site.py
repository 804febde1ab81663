"""``registry/site.toml``: what an administrator says of the site, for the registry's records.

The description of each field is its help text. The services need not be repeated: their
records are made from what is running, and changed here where that does not say it well.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError

from uwsd.capabilities.declarations import Table
from uwsd.config import ConfigError
from uwsd.config.options import options_of
from uwsd.config.problems import problems_of
from uwsd.config.source import read
from uwsd.uws.xmltext import fits_xml

FILE = "site.toml"
TEMPLATE = Path(__file__).parents[1] / "bundled" / FILE
"""What a new site begins with."""

_AUTHORITY = re.compile(r"[a-z0-9][a-z0-9\-_.!~*'()=]{2,}", re.ASCII)
_EMAIL = re.compile(r"[^\s@]+@([^\s@.]+\.)+[^\s@.]+")
_SUBJECT = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_URL = re.compile(r"https?://\S+")


def _check_authority(text: str) -> str:
    if not _AUTHORITY.fullmatch(text):
        raise ValueError(
            "an authority has three or more of a-z 0-9 - _ . such as org.example.uwsd, "
            f"not {text!r}"
        )
    return text


def _check_email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError(f"an address is of the form name@host.domain, not {text!r}")
    return text


def _check_subject(text: str) -> str:
    if not _SUBJECT.fullmatch(text):
        raise ValueError(
            f"a subject is a term of https://www.ivoa.net/rdf/uat such as gpu-computing, "
            f"not {text!r}"
        )
    return text


def _check_url(text: str) -> str:
    if text and not (_URL.fullmatch(text) and fits_xml(text)):
        raise ValueError(f"this takes an http or https URL, not {text!r}")
    return text


Url = Annotated[str, AfterValidator(_check_url)]
Subject = Annotated[str, AfterValidator(_check_subject)]
ShortName = Annotated[str, Field(max_length=16)]
Text = Annotated[str, Field(min_length=1)]


class Authority(Table):
    """The name space of the site's identifiers."""

    id: Annotated[str, AfterValidator(_check_authority)] = Field(
        description="What follows ivo:// in all identifiers; by custom your domain, reversed."
    )
    title: Text = Field(description="Its name for people.")
    description: Text = Field(description="Who uses it, and for what.")


class Organisation(Table):
    """Who runs the site."""

    title: Text = Field(description="The organisation's name.")
    description: Text = Field(description="What it does, in a sentence or two.")
    reference_url: Url = Field(description="Its page for people.")


class Contact(Table):
    """Whom to ask when something does not work."""

    name: Text = Field(description="A person, or better a group.")
    email: Annotated[str, AfterValidator(_check_email)] = Field(
        description="Where the answers come from; harvesters' operators write there, too."
    )
    address: str = Field(default="", description="A postal address.")
    telephone: str = Field(default="", description="A telephone number.")


class Described(Table):
    """What a record of a service or of the platform can say beyond what is running."""

    title: str | None = Field(default=None, min_length=1, description="Its name for people.")
    short_name: ShortName = Field(
        default="", description="A name of up to 16 characters, for narrow columns."
    )
    description: str | None = Field(
        default=None, min_length=1, description="What it is good for; people search in this."
    )
    subjects: tuple[Subject, ...] = Field(
        default=(), description="Terms of the Unified Astronomy Thesaurus, as IVOA writes them."
    )
    reference_url: Url = Field(
        default="", description="A page for people; by default the one that uwsd shows."
    )
    creators: tuple[Text, ...] = Field(
        default=(), description="Who made it; by default the organisation."
    )
    rights: str = Field(default="", description="The terms of use, in a sentence.")
    rights_uri: Url = Field(
        default="", description="Where they stand, such as https://spdx.org/licenses/CC0-1.0.html."
    )


class ServiceRecord(Described):
    """What the record of one service says otherwise, below ``services.NAME``."""

    publish: bool = Field(default=True, description="Whether it has a record at all.")


class SiteFile(Table):
    """All of ``site.toml``."""

    authority: Authority
    organisation: Organisation
    contact: Contact
    platform: Described = Described()
    services: Mapping[str, ServiceRecord] = {}

    def identifier(self, *path: str) -> str:
        """Return the IVOID of what is called ``path`` here, such as ``platform``."""
        return "/".join((f"ivo://{self.authority.id}", *path)).lower()


def load_site(folder: Path) -> SiteFile | None:
    """Read the file in ``folder``; None if there is none.

    Raises `ConfigError` with all that is wrong with it, and where.
    """
    path = folder / FILE
    if not path.exists():
        return None
    source = read(path, {})
    try:
        site = SiteFile(**source.tables)
    except ValidationError as error:
        found = problems_of(error, source, options=partial(options_of, SiteFile))
        raise ConfigError((*source.problems, *found)) from None
    if source.problems:
        raise ConfigError(tuple(source.problems))
    return site
