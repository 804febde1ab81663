"""Platforms of the whole Virtual Observatory, asked for at a searchable registry (RegTAP 1.2)."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from uwsd.client.errors import Unreachable
from uwsd.client.platforms import VOSI, Access, Platform, Wanted

_PATIENCE = 60  # seconds between two bytes
_MOST = 20_000  # rows, of which a platform has about five
_SEPARATOR = "\t"
_COLUMNS = "ivoid, res_title, res_description, updated, standard_id, intf_role, access_url"
_QUERY = """\
SELECT {columns}, ivo_string_agg(res_subject, '{separator}') AS subjects
FROM rr.resource NATURAL JOIN rr.capability NATURAL JOIN rr.interface
NATURAL LEFT OUTER JOIN rr.res_subject
WHERE {conditions}
GROUP BY {columns}
ORDER BY ivoid"""


def search(url: str, wanted: Wanted) -> list[Platform]:
    """Return the platforms that the RegTAP service at ``url`` knows. Raises `Unreachable`."""
    import pyvo  # noqa: PLC0415 - it takes a second, and only this needs it

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Impatient())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about VOTables of services that are not ours to mend
        try:
            service = pyvo.dal.TAPService(url, session=session)
            rows = [dict(row) for row in service.run_sync(adql(wanted), maxrec=_MOST)]
        except (pyvo.dal.DALAccessError, OSError, ValueError) as error:
            why = " ".join(str(error).split())[:500]
            raise Unreachable(f"the registry {url} does not answer: {why}") from None
    return list(_platforms(rows, wanted.standard))


class _Impatient(HTTPAdapter):
    """Gives up on a service that is silent; pyvo would wait for ever."""

    def send(self, *arguments: Any, **how: Any) -> requests.Response:
        return super().send(*arguments, **how | {"timeout": _PATIENCE})


def adql(wanted: Wanted) -> str:
    """Return the query; RegTAP keeps identifiers in lower case (its section 4)."""
    standard = f"standard_id LIKE {_literal(wanted.standard.lower() + '%')}"
    conditions = [
        _among("capability NATURAL JOIN rr.interface", f"{standard} AND intf_role = 'std'"),
        f"({standard} OR standard_id LIKE {_literal(VOSI + '%')})",
        *map(_subject, wanted.subjects),
        *map(_word, wanted.words),
    ]
    return _QUERY.format(
        columns=_COLUMNS, separator=_SEPARATOR, conditions="\nAND ".join(conditions)
    )


def _subject(subject: str) -> str:
    return _among("res_subject", f"1 = ivo_nocasematch(res_subject, {_literal(subject)})")


def _word(word: str) -> str:
    title, description, subject = (
        f"1 = ivo_hasword(res_{column}, {_literal(word)})"
        for column in ("title", "description", "subject")
    )
    return f"({title} OR {description} OR {_among('res_subject', subject)})"


def _among(table: str, condition: str) -> str:
    return f"ivoid IN (SELECT ivoid FROM rr.{table} WHERE {condition})"  # noqa: S608 - quoted


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _platforms(rows: Sequence[Mapping[str, object]], standard: str) -> Iterator[Platform]:
    fields = [{name: "" if v is None else str(v) for name, v in row.items()} for row in rows]
    for identifier, group in groupby(fields, itemgetter("ivoid")):
        found = list(group)
        platform = Platform.of_record(
            (Access(row["standard_id"], row["intf_role"], row["access_url"]) for row in found),
            standard,
            identifier=identifier,
            title=found[0]["res_title"],
            description=found[0]["res_description"],
            subjects=filter(None, found[0]["subjects"].split(_SEPARATOR)),
            updated=found[0]["updated"],
        )
        if platform is not None:
            yield platform
