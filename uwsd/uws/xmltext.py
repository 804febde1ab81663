"""Which text XML 1.0 can hold (its section 2.2), and which it cannot."""

import re

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fits_xml(text: str) -> bool:
    """Whether an XML document can hold the text as it is."""
    return _NOT_XML.search(text) is None


def legible(text: str) -> str:
    """Return the text with a replacement character for each that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
