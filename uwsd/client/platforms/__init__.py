"""Finding platforms: in a searchable registry, or in one that is harvested on the spot."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

STANDARD = "ivo://ivoa.net/std/uws#rest-1."
"""What a platform's job list begins its standard ID with, in lower case (UWS 1.1 2.2.1.1)."""

VOSI = "ivo://ivoa.net/std/vosi#"
"""What the standard IDs of VOSI endpoints begin with, in lower case (VOSI 1.1 section 2)."""


class Access(NamedTuple):
    """One interface of a record, its standard ID and role in lower case, as RegTAP keeps them."""

    standard: str
    role: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A service with a job list, as its registry record describes it."""

    identifier: str  #: its IVOID, in lower case
    title: str
    description: str
    subjects: tuple[str, ...]
    joblists: tuple[str, ...]
    capabilities: str | None  #: the URLs of its VOSI endpoints
    availability: str | None
    updated: str  #: when the record last changed, as it says itself

    @classmethod
    def of_record(
        cls,
        accesses: Iterable[Access],
        standard: str,
        *,
        identifier: str,
        title: str,
        description: str,
        subjects: Iterable[str],
        updated: str,
    ) -> Self | None:
        """Return what a record describes; None when it has no job list of the standard."""
        found = list(accesses)
        urls = {access.standard: access.url for access in reversed(found)}  # the first of each
        joblists = [
            access.url
            for access in found
            if access.standard.startswith(standard.lower()) and access.role == "std"
        ]
        if not joblists:
            return None
        return cls(
            identifier=identifier.lower(),
            title=title,
            description=description,
            # In an order of ours, since RegTAP has none.
            subjects=tuple(sorted(subjects)),
            # Each way to log in is an interface of its own, of the same URL (VOResource 1.2).
            joblists=tuple(sorted(set(joblists))),
            capabilities=urls.get(f"{VOSI}capabilities"),
            availability=urls.get(f"{VOSI}availability"),
            updated=updated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What narrows a search; everything given has to fit."""

    standard: str = STANDARD  #: what the standard ID begins with, in any case
    subjects: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  #: in title, description or subjects

    def fits(self, platform: Platform) -> bool:
        """Whether subjects and words fit; the standard has been looked for already."""
        subjects = {subject.lower() for subject in platform.subjects}
        there = _words(" ".join((platform.title, platform.description, *subjects)))
        return {s.lower() for s in self.subjects} <= subjects and all(
            _words(text) and _words(text) <= there for text in self.words
        )


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
