"""What an administrator has written: ``site.toml``, and finished records in ``registry/*.xml``."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from uwsd.registry.documents import Head, head_of, stamp
from uwsd.registry.site import SiteFile, load_site
from uwsd.registry.store import Draft
from uwsd.schemas import LARGEST, DocumentError, explain_tree, parse
from uwsd.uws import times


class RecordRefused(Exception):
    """A record file that is not published; the text says where and why."""


def files(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder, but for what is hidden: editors keep their drafts there."""
    return (path for path in folder.glob("*") if not path.name.startswith("."))


def read_folder(folder: Path) -> tuple[SiteFile, list[Draft]] | None:
    """Return what the site says of itself and its finished records; None without ``site.toml``.

    Raises `uwsd.config.ConfigError` or `RecordRefused` with what is wrong, and where.
    """
    site = load_site(folder)
    if site is None:
        return None
    paths = sorted(path for path in files(folder) if path.suffix == ".xml")
    drafts = [read_record(path, site.authority.id) for path in paths]
    for name, count in Counter(draft.identifier for draft in drafts).items():
        if count > 1:
            raise RecordRefused(f"{folder}: more than one file describes {name}")
    return site, drafts


def read_record(path: Path, authority: str) -> Draft:
    """Return the record in a file, whose identifier has to be in ``authority``."""
    try:
        if path.stat().st_size > LARGEST:
            raise RecordRefused(f"{path}: a record has {LARGEST} bytes at the most")
        document = path.read_bytes()
        head = _checked(document)
    except OSError as error:
        raise RecordRefused(f"{path}: cannot be read: {error.strerror}") from None
    except DocumentError as error:
        where = f" {error.element}" if error.element else ""
        expected = f"; expected: {error.expected}" if error.expected else ""
        raise RecordRefused(f"{path}:{error.line}:{where} {error.reason}{expected}") from None
    _check(path, head, authority)
    return Draft(identifier=head.identifier.lower(), document=document)


def _checked(document: bytes) -> Head:
    """Return a record's head; raise `DocumentError` unless it will be valid when published."""
    tree = parse(document)
    head = head_of(tree)
    if head.is_resource:
        now = times.now()
        stamp(tree, created=now, updated=now)
    for error in explain_tree(tree):
        raise error
    return head


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
