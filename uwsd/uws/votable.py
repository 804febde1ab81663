"""The error document of DALI 1.2 section 5.4.2: a VOTable without a table.

STILTS, TOPCAT, Aladin and GAVO's clients show what its INFO says.
"""

import io

from uwsd.uws.xmltext import legible

MEDIA_TYPE = "application/x-votable+xml"


def error_document(text: str) -> bytes:
    """Write a VOTable that tells of an error; ``text`` is for people."""
    # Large, and needed by nobody whose jobs succeed.
    from astropy.io.votable.tree import Info, Resource, VOTableFile  # noqa: PLC0415

    status = Info(name="QUERY_STATUS", value="ERROR")
    status.content = legible(text)
    results = Resource(type="results")
    results.infos.append(status)
    votable = VOTableFile()
    votable.resources.append(results)
    document = io.BytesIO()
    votable.to_xml(document)
    return document.getvalue()
