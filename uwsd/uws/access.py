"""Who may do what with a job: the one place where that is decided (UWS 1.1 section 3)."""

from dataclasses import dataclass

from uwsd.uws.errors import Forbidden, Unauthorized


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request, for as long as it lasts."""

    name: str | None = None  #: what ownerId shows; None for an anonymous caller
    lists_anonymous: bool = False  #: whether anonymous jobs are listed for an anonymous caller

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody knows who it is."""
        return self.name is None


def allow(caller: Caller, owner: str | None) -> None:
    """Let the caller at a job of ``owner``, or raise.

    An anonymous job is open to whoever knows its id, which cannot be guessed.
    """
    if owner is None or owner == caller.name:
        return
    if caller.is_anonymous:
        raise Unauthorized("this job has an owner; log in")
    raise Forbidden("this job belongs to somebody else")
