"""RESPONSEFORMAT: the format that a client wants for the main result (DALI 1.2 section 4.3.3)."""

from collections.abc import Sequence

from uwsd.uws.errors import BadRequest

RESPONSEFORMAT = "RESPONSEFORMAT"

_SHORT = {
    "application/fits": "fits",
    "application/json": "json",
    "application/vnd.apache.parquet": "parquet",
    "application/x-votable+xml": "votable",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "text",
    "text/tab-separated-values": "tsv",
    "text/xml": "votable",
}


def check_format(asked: Sequence[str], made: str) -> None:
    """Raise `BadRequest` unless ``made``, a media type, is what is asked for.

    A client that leaves the parameters of the type out takes any; an empty value asks nothing.
    """
    if len(asked) > 1:
        raise BadRequest(f"{RESPONSEFORMAT} takes one value, not {len(asked)}")
    full = _plain(made)
    kind = full.partition(";")[0]
    supported = [made, *filter(None, [_SHORT.get(kind)])]
    for value in filter(None, asked):
        if value not in supported and _plain(value) not in (full, kind):
            raise BadRequest(f"{RESPONSEFORMAT} takes {' or '.join(supported)}, not {value[:60]!r}")


def _plain(media_type: str) -> str:
    return "".join(media_type.split()).lower()
