"""Who may do what with the jobs: the one place where that is decided (UWS 1.1 section 3).

`uws` does not know how a caller has shown who they are; `uwsd.auth` finds that out.
"""

from dataclasses import dataclass
from enum import StrEnum, auto

from uwsd.uws.errors import Forbidden, Unauthorized


class Proof(StrEnum):
    """How a caller has shown who they are."""

    PASSWORD = auto()
    PROXY = auto()  #: a trusted proxy says so
    TOKEN = auto()  #: the one kind that a browser never adds to a request by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request, for as long as it lasts."""

    name: str | None = None  #: what ownerId shows; None for an anonymous caller
    proof: Proof | None = None
    groups: frozenset[str] = frozenset()

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody knows who it is."""
        return self.name is None


ANONYMOUS = Caller()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousRights:
    """What anonymous callers may do at one job list."""

    may_create: bool = False  #: make jobs
    may_list: bool = False  #: see the jobs that have no owner; their ids are the keys to them
    may_fetch: bool = False  #: name inputs by their URLs


def allow(caller: Caller, owner: str | None) -> None:
    """Let the caller at a job of ``owner``, or raise.

    An anonymous job is open to whoever knows its id, which cannot be guessed.
    """
    if owner is None or owner == caller.name:
        return
    if caller.is_anonymous:
        raise Unauthorized("this job has an owner; log in")
    raise Forbidden("this job belongs to somebody else")


def allow_creation(caller: Caller, rights: AnonymousRights) -> None:
    """Let the caller make a job, or raise."""
    if caller.is_anonymous and not rights.may_create:
        raise Unauthorized("this service makes jobs only for people whom it knows; log in")


def allow_fetch(caller: Caller, rights: AnonymousRights) -> None:
    """Let the caller have the service fetch a URL, or raise."""
    if caller.is_anonymous and not rights.may_fetch:
        raise Forbidden(
            "this service fetches URLs only for people whom it knows; log in, or send the file"
        )


def sees_jobs(caller: Caller, rights: AnonymousRights) -> bool:
    """Whether there may be anything in a list for the caller; it has nobody else's jobs."""
    return rights.may_list or not caller.is_anonymous
