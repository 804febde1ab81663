"""What a client sent: fields and files, and the names that control a job.

Names compare without regard to case, values with it (DALI 1.2 section 4.1).
"""

from dataclasses import dataclass
from typing import BinaryIO

from uwsd.uws.errors import BadRequest

CONTROLS = frozenset({"PHASE", "RUNID", "ACTION", "DESTRUCTION", "EXECUTIONDURATION", "UPLOAD"})
"""Parameters of UWS and DALI themselves; they are never parameters of a job, UPLOAD aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file in a form."""

    name: str  #: of the form's part
    filename: str  #: as the client calls it: metadata, never a path
    media_type: str
    content: BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Query and body together."""

    fields: tuple[tuple[str, str], ...] = ()
    uploads: tuple[Upload, ...] = ()

    def all(self, name: str) -> list[str]:
        """Return every value of a field, in order."""
        return [value for key, value in self.fields if key.upper() == name]

    def only(self, name: str) -> str | None:
        """Return the value of a field that may be given once, or None (DALI 1.2 section 4.2)."""
        values = self.all(name)
        if len(values) > 1:
            raise BadRequest(f"{name} is given {len(values)} times; give it once")
        return values[0] if values else None

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The fields that are parameters of the job."""
        return tuple(field for field in self.fields if field[0].upper() not in CONTROLS)
