"""Which of the files that a job leaves are its results.

The files are named by foreign code: an id is made of what is safe in a URL, and a file whose
name is no text, or that only its own folder can tell from another's, is not a result.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from mimetypes import MimeTypes
from pathlib import PurePosixPath

from uwsd.capabilities.base import MissingResult, ResultRule
from uwsd.uws.job import LOGS, MAIN, Result
from uwsd.uws.xmltext import fits_xml

RESERVED = frozenset(LOGS)
"""Ids that belong to the logs."""

HTML = "html"
"""The id of an executed notebook as a page."""

OF_NOTEBOOK = frozenset({MAIN, HTML})
"""Ids of what the notebook of a service becomes."""

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_WILD = re.compile(r"[*?\[]")
_UNTOLD = "application/octet-stream"
_TYPES = MimeTypes()
for _suffix, _type in {
    ".ecsv": "text/csv",
    ".fit": "application/fits",
    ".fits": "application/fits",
    ".ipynb": "application/x-ipynb+json",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".vot": "application/x-votable+xml",
    ".votable": "application/x-votable+xml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}.items():
    _TYPES.add_type(_type, _suffix)


def media_type(path: str) -> str:
    """Return the media type that the end of a file's name stands for."""
    kind, coding = _TYPES.guess_type(f"/{path}")
    if coding:
        return f"application/{coding}"
    return kind or _UNTOLD


def pick(rules: Sequence[ResultRule], outputs: Mapping[str, int]) -> tuple[Result, ...]:
    """Return the results that ``rules`` find in ``outputs``, the main one first, then as declared.

    A pattern (``*``, ``?``, ``[a-z]``, each within one folder) that fits one file gives that file
    the declared id; one that fits several makes the ids of their names. Raises `MissingResult`.
    """
    found: dict[str, Result] = {}
    taken = RESERVED | {rule.id for rule in rules}
    missing = []
    for rule in sorted(rules, key=lambda rule: rule.id != MAIN):
        paths = [path for path in sorted(outputs) if _fits(path, rule.path)]
        if rule.required and not paths:
            missing.append(rule.path)
        for name, path in zip(_ids(rule, paths, taken), paths, strict=True):
            taken = taken | {name}
            found[name] = output(name, path, outputs[path], rule.media_type)
    results = tuple(found.values())
    if missing:
        raise MissingResult(f"the job did not make {', '.join(missing)}", results)
    return results


def output(name: str, path: str, size: int, kind: str) -> Result:
    """Return the result that is a file of the working folder."""
    return Result(id=name, path=f"outputs/{path}", media_type=kind, size=size)


def _fits(path: str, pattern: str) -> bool:
    if not _WILD.search(pattern):
        return path == pattern
    names, patterns = PurePosixPath(path).parts, PurePosixPath(pattern).parts
    return fits_xml(path) and len(names) == len(patterns) and all(map(_fits_name, names, patterns))


def _fits_name(name: str, pattern: str) -> bool:
    # As in a shell, what begins with a dot has to be asked for.
    return fnmatchcase(name, pattern) and name.startswith(".") <= pattern.startswith(".")


def _ids(rule: ResultRule, paths: Sequence[str], taken: frozenset[str]) -> Iterator[str]:
    if len(paths) == 1:
        yield rule.id
        return
    used = set(taken)
    for path in paths:
        name = _unused(_UNSAFE.sub("_", PurePosixPath(path).name), used)
        used.add(name)
        yield name


def _unused(name: str, used: set[str]) -> str:
    number = 2
    free = name
    while free in used:
        free = f"{name}-{number}"
        number += 1
    return free
