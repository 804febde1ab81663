"""The users' file: a line ``name:hash`` for each of them, and comments after ``#``.

It is read again whenever it has changed, and replaced as a whole, so that a reader finds the
old one or the new one and never a half.
"""

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from uwsd.auth.names import explain, is_name
from uwsd.auth.passwords import is_hash
from uwsd.processes import alone

_log = logging.getLogger(__name__)

_TOO_OPEN = 0o027
"""The rights that nobody but the owner may have: all of others', and writing of the group's."""

Version = tuple[int, ...]


class UsersError(Exception):
    """The users' file cannot be used; the text says why and what to do."""


class Users:
    """The users in a file; there may be no file yet, and then there are none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version: Version | None = None
        self._known: Mapping[str, str] | UsersError = {}

    def hashes(self) -> Mapping[str, str]:
        """Return the hash of each user's password; the same mapping until the file changes.

        Raises `UsersError` as long as the file is broken: nobody is let in by an old one.
        """
        version = self._current_version()
        if version != self._version:
            self._known, self._version = self._read(), version
        if isinstance(self._known, UsersError):
            raise self._known
        return self._known

    def changed(self) -> float:
        """Return when the file has changed last, in seconds since 1970; 0 without one."""
        try:
            return self.path.stat().st_mtime
        except OSError:
            return 0.0

    def set(self, name: str, hashed: str) -> bool:
        """Add a user, or give a known one another password; return whether the user is new."""
        if not is_name(name):
            raise UsersError(explain(name))
        with self._editing() as lines:
            others = [line for line in lines if _name_in(line) != name]
            is_new = len(others) == len(lines)
            lines[:] = [*others, f"{name}:{hashed}"]
        return is_new

    def remove(self, name: str) -> None:
        """Remove a user."""
        with self._editing() as lines:
            others = [line for line in lines if _name_in(line) != name]
            if len(others) == len(lines):
                raise UsersError(f"there is no user {name[:80]!r} in {self.path}")
            lines[:] = others

    def _current_version(self) -> Version:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return ()
        except OSError as error:
            return (error.errno or 0,)
        return _version(status)

    def _read(self) -> Mapping[str, str] | UsersError:
        try:
            return dict(_parsed(self.path, _lines(self.path)))
        except UsersError as error:
            _log.error("nobody can log in with a password: %s", error)
            return error

    @contextmanager
    def _editing(self) -> Iterator[list[str]]:
        """Give the lines, and keep what has become of them, unless an error passes through."""
        path = self.path.resolve()  # the file behind a link, not the link, is replaced
        busy = f"{path} is being changed by somebody else"
        with alone(path.with_name(f"{path.name}.lock"), busy, patience=10):
            lines = _lines(path)
            dict(_parsed(path, lines))
            yield lines
            _replace(path, "".join(f"{line}\n" for line in lines))


def _version(status: os.stat_result) -> Version:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & _TOO_OPEN:
                raise UsersError(f"too many may read or write {path}; `chmod 600 {path}`")
            return file.read().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsersError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsersError(f"{path} has more than ASCII in it") from None


def _parsed(path: Path, lines: list[str]) -> Iterator[tuple[str, str]]:
    seen = set()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.partition(":")
        if not is_name(name) or not is_hash(hashed):
            raise UsersError(
                f"{path}:{number}: a line is a name, a colon and an argon2id hash, "
                "as `uwsd user add` writes it"
            )
        if name in seen:
            raise UsersError(f"{path}:{number}: {name} is here twice")
        seen.add(name)
        yield name, hashed


def _name_in(line: str) -> str:
    return line.partition(":")[0]


def _replace(path: Path, text: str) -> None:
    """Write a file anew, readable by its owner alone; a crash leaves the old one or the new one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
