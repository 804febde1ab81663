"""The XML of records: ``ri:Resource`` and what it holds, in the schemas' order.

VOResource 1.2, VODataService 1.2 and Registry Interfaces 1.1; the prefixes are the canonical
ones, literally, since harvesters compare them as text (VOResource 1.2 section 2.2.2).
"""

from datetime import datetime

from lxml import etree

from uwsd.schemas import parse
from uwsd.uws.times import to_second


def stamped(document: bytes, *, created: datetime, updated: datetime) -> bytes:
    """Return a record with the dates it lacks: when it was first published, and last changed.

    The dates that the document of an admin's own brings along are left alone.
    """
    root = parse(document).getroot()
    for name, at in (("created", created), ("updated", updated)):
        if name not in root.attrib:
            root.set(name, to_second(at))
    return etree.tostring(root, encoding="UTF-8")
