"""Platforms of the whole Virtual Observatory, asked for at a searchable registry (RegTAP 1.2)."""

import warnings
from collections.abc import Iterable, Iterator

from uwsd.client.errors import Unreachable
from uwsd.client.platforms import Platform, Wanted

_VOSI = "ivo://ivoa.net/std/vosi#"
_QUERY = """\
SELECT ivoid, res_title, res_description, updated, standard_id, access_url
FROM rr.resource NATURAL JOIN rr.capability NATURAL JOIN rr.interface
WHERE {conditions}
ORDER BY ivoid"""


def search(url: str, wanted: Wanted) -> Iterator[Platform]:
    """Yield the platforms that the RegTAP service at ``url`` knows. Raises `Unreachable`."""
    import pyvo  # noqa: PLC0415 - it takes a second, and only this needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about VOTables of services that are not ours to mend
        try:
            service = pyvo.dal.TAPService(url)
            rows = list(service.run_sync(adql(wanted), maxrec=20_000))
        except (pyvo.dal.DALAccessError, OSError, ValueError) as error:
            raise Unreachable(f"the registry {url} does not answer: {error}") from None
    yield from _platforms(rows, wanted.standard)


def adql(wanted: Wanted) -> str:
    """Return the query; RegTAP keeps identifiers in lower case (its section 4)."""
    standard = f"standard_id LIKE {_literal(wanted.standard.lower() + '%')}"
    conditions = [
        _among("capability NATURAL JOIN rr.interface", f"{standard} AND intf_role = 'std'"),
        f"({standard} OR standard_id LIKE {_literal(_VOSI + '%')})",
        *map(_subject, wanted.subjects),
        *map(_word, wanted.words),
    ]
    return _QUERY.format(conditions="\nAND ".join(conditions))


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


def _platforms(rows: Iterable[object], standard: str) -> Iterator[Platform]:
    by_id: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        fields = {name: str(row[name]) for name in _COLUMNS}  # type: ignore[index] # pyvo's Record
        by_id.setdefault(fields["ivoid"], []).append(fields)
    for identifier, found in by_id.items():
        urls: dict[str, list[str]] = {}
        for fields in found:
            urls.setdefault(fields["standard_id"], []).append(fields["access_url"])
        joblists = [u for id_, us in urls.items() if id_.startswith(standard.lower()) for u in us]
        yield Platform(
            identifier=identifier,
            title=found[0]["res_title"],
            description=found[0]["res_description"],
            joblists=tuple(dict.fromkeys(joblists)),
            capabilities=next(iter(urls.get(f"{_VOSI}capabilities", ())), None),
            availability=next(iter(urls.get(f"{_VOSI}availability", ())), None),
            updated=found[0]["updated"],
        )


_COLUMNS = ("ivoid", "res_title", "res_description", "updated", "standard_id", "access_url")
