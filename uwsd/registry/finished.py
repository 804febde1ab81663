"""Records that an administrator brings along as finished XML, ``registry/*.xml``."""

from collections.abc import Iterator
from pathlib import Path

from uwsd.registry.documents import Head, head_of
from uwsd.registry.store import Draft
from uwsd.schemas import DocumentError, explain, validate

_MOST = 1024 * 1024
"""Bytes of one record; the largest in the VO have a tenth of it."""


class RecordRefused(Exception):
    """A record file that is not published; the text says where and why."""


def finished(folder: Path, authority: str) -> Iterator[Draft]:
    """Yield a draft for each file; raise `RecordRefused` for the first that is not good."""
    for path in sorted(folder.glob("*.xml")):
        yield read_record(path, authority)


def read_record(path: Path, authority: str) -> Draft:
    """Return the record in a file, whose identifier has to be in ``authority``."""
    try:
        if path.stat().st_size > _MOST:
            raise RecordRefused(f"{path}: a record has {_MOST} bytes at the most")
        document = path.read_bytes()
        validate(document)
        head = head_of(document)
    except OSError as error:
        raise RecordRefused(f"{path}: cannot be read: {error.strerror}") from None
    except DocumentError:
        # What libxml2 says is true; this says it so that people can mend it.
        raise RecordRefused("\n".join(_line(path, e) for e in explain(document))) from None
    _check(path, head, authority)
    return Draft(identifier=head.identifier.lower(), document=document)


def _check(path: Path, head: Head, authority: str) -> None:
    own = f"ivo://{authority}"
    name = head.identifier.lower()
    if not head.is_resource:
        raise RecordRefused(f"{path}:1: a record is one ri:Resource, not {head.tag}")
    if name != own and not name.startswith(f"{own}/"):
        raise RecordRefused(
            f"{path}: {head.identifier} is not in the authority of this site, {own}"
        )
    if head.status == "deleted":
        raise RecordRefused(f"{path}: to delete a record, remove its file")


def _line(path: Path, error: DocumentError) -> str:
    where = f"{error.element}: " if error.element else ""
    expected = f"; expected: {error.expected}" if error.expected else ""
    return f"{path}:{error.line}: {where}{error.reason}{expected}"
