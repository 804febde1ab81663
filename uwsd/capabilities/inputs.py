"""What the client of one job gave, sorted by what its service declares, and checked.

A file may come with the request, be named by its URL, or be the parameter's own text. Each
has a path in the workspace that is made of the declared name, never of what a client says.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

from uwsd.backends.base import Fetch
from uwsd.capabilities.declarations import FetchSettings
from uwsd.capabilities.parameters import InputParam
from uwsd.capabilities.values import ParameterType, Value
from uwsd.uws.errors import BadRequest
from uwsd.uws.job import Parameter, Source
from uwsd.worker.fetch import Refused, check_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The values of one declared parameter: at least one, perhaps its default."""

    declared: InputParam
    parameters: tuple[Parameter, ...]
    paths: tuple[str, ...] = ()  #: where each is in the workspace, if they are files

    def texts(self, workspace: Path) -> tuple[str, ...]:
        """Return the values as a command is given them: of a file, its path."""
        if self.declared.is_file:
            return tuple(str(workspace / path) for path in self.paths)
        return tuple(p.value for p in self.parameters)

    def value(self, workspace: Path) -> Value | list[Value]:
        """Return the typed value, or a list of them if there may be several."""
        values = [self.declared.parse(text) for text in self.texts(workspace)]
        return values if self.declared.repeatable else values[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The parameters of one job that have a value, in the declared order."""

    given: tuple[Given, ...]
    unknown: tuple[str, ...]  #: names that the service does not declare

    @classmethod
    def read(cls, declared: Sequence[InputParam], parameters: Sequence[Parameter]) -> Self:
        """Sort and check what a client gave; raise `BadRequest`, which names what is wrong."""
        by_name = defaultdict(list)
        for parameter in parameters:
            by_name[parameter.name.upper()].append(parameter)
        chosen = [(d, _chosen(d, by_name.pop(d.name.upper(), ()))) for d in declared]
        unknown = tuple(p.name for p in parameters if p.name.upper() in by_name)
        taken = {p.path for p in parameters if p.path is not None}
        given = tuple(
            Given(declared=d, parameters=values, paths=_places(d, values, taken))
            for d, values in chosen
            if values
        )
        return cls(given=given, unknown=unknown)

    def texts(self, workspace: Path) -> Mapping[str, tuple[str, ...]]:
        """Return the values as a command is given them, by declared name."""
        return {g.declared.name: g.texts(workspace) for g in self.given}

    def document(self, workspace: Path) -> bytes:
        """Return ``parameters.json``: the typed values by declared name, of files the paths."""
        values = {g.declared.name: g.value(workspace) for g in self.given}
        return json.dumps(values, ensure_ascii=False, allow_nan=False, indent=1).encode()

    def files(self) -> Mapping[str, bytes]:
        """Return the files whose content the client gave as text, by path in the workspace."""
        return {path: p.value.encode() for p, path in self._placed(Source.INLINE)}

    def fetches(self, policy: FetchSettings, max_bytes: int) -> tuple[Fetch, ...]:
        """Return what is to be fetched; raise `BadRequest` for what the policy does not allow."""
        return tuple(
            _fetch(parameter, path, policy, max_bytes)
            for parameter, path in self._placed(Source.REMOTE)
        )

    def _placed(self, source: Source) -> Iterator[tuple[Parameter, str]]:
        for given in self.given:
            # Only files have paths.
            for parameter, path in zip(given.parameters, given.paths, strict=False):
                if parameter.source is source:
                    yield parameter, path


def _chosen(declared: InputParam, given: Iterable[Parameter]) -> tuple[Parameter, ...]:
    values = tuple(p for p in given if not _is_blank(declared, p))
    if len(values) > 1 and not declared.repeatable:
        raise BadRequest(f"{declared.name} takes one value, not {len(values)}")
    for value in values:
        _check(declared, value)
    if not values and declared.default is not None:
        return (Parameter(name=declared.name, value=declared.default),)
    return values


def _is_blank(declared: InputParam, given: Parameter) -> bool:
    # A browser sends the empty fields of a form, too. Only a text can be empty on purpose.
    is_text = declared.type is ParameterType.STRING
    return not is_text and given.source is Source.INLINE and not given.value


def _check(declared: InputParam, given: Parameter) -> None:
    if not declared.is_file and given.source is not Source.INLINE:
        raise BadRequest(f"{declared.name} takes {declared.takes}, not a file")
    try:
        given.value.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{declared.name} takes Unicode text, without lone surrogates") from None
    if not declared.is_file:
        declared.parse(given.value)


def _places(declared: InputParam, values: Sequence[Parameter], taken: set[str]) -> tuple[str, ...]:
    """Return where each value of a file parameter is, or will be; add the places to ``taken``."""
    if not declared.is_file:
        return ()
    return tuple(p.path or _free_place(declared, taken) for p in values)


def _free_place(declared: InputParam, taken: set[str]) -> str:
    place = f"inputs/{declared.name}"
    candidates = (f"{place}.{number}" for number in count(1)) if declared.repeatable else [place]
    free = next(path for path in candidates if path not in taken)
    taken.add(free)
    return free


def _fetch(given: Parameter, path: str, policy: FetchSettings, max_bytes: int) -> Fetch:
    if not policy.schemes:
        raise BadRequest(f"{given.name} takes no URLs; send the file along")
    try:
        check_url(given.value, policy.schemes)
    except Refused as refusal:
        raise BadRequest(f"{given.name}: {refusal}") from None
    return Fetch(
        url=given.value,
        path=path,
        max_bytes=max_bytes,
        timeout=policy.timeout,
        schemes=policy.schemes,
        private_addresses=policy.private_addresses,
    )
