"""The error document is a VOTable whatever it has to say."""

import io

from astropy.io.votable import parse
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from uwsd.uws.votable import error_document
from uwsd.uws.xmltext import legible


@given(text=st.text(st.characters()))
@example(text="")
@example(text="\x00\x08\x1f ]]> </INFO><b>&amp;&nbsp; \ud800 \uffff")
@example(text="&" * 100_000)
def test_every_text_makes_a_valid_document(text: str) -> None:
    document = error_document(text)
    (resource,) = parse(io.BytesIO(document), verify="exception").resources
    (status,) = resource.infos
    assert (resource.type, status.name, status.value) == ("results", "QUERY_STATUS", "ERROR")
    read = etree.fromstring(document, etree.XMLParser(huge_tree=True)).findtext(".//{*}INFO")
    assert read == legible(text).replace("\r\n", "\n").replace("\r", "\n")
