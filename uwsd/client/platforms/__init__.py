"""Finding platforms: in a searchable registry, or in one that is harvested on the spot."""

from dataclasses import dataclass, field

STANDARD = "ivo://ivoa.net/std/uws#rest-1."
"""What a platform's job list begins its standard ID with, in lower case (UWS 1.1 2.2.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A service with a job list, as its registry record describes it."""

    identifier: str
    title: str
    description: str = ""
    subjects: tuple[str, ...] = ()
    joblists: tuple[str, ...] = ()
    capabilities: str | None = None  #: the URLs of its VOSI endpoints
    availability: str | None = None
    updated: str = ""  #: when the record last changed, as it says itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What narrows a search; everything given has to fit."""

    standard: str = STANDARD  #: what the standard ID begins with, in any case
    subjects: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=())  #: in title, description or subjects

    def fits(self, platform: Platform) -> bool:
        """Whether subjects and words fit; the standard has been looked for already."""
        subjects = {subject.lower() for subject in platform.subjects}
        text = " ".join((platform.title, platform.description, *subjects)).lower()
        return {s.lower() for s in self.subjects} <= subjects and all(
            word.lower() in text for word in self.words
        )
