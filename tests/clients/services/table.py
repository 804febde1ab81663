"""The service ``table``: a query in, a VOTable out."""

import argparse
import shutil
import sys
import time
from pathlib import Path
from xml.sax.saxutils import escape

VOTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3" version="1.4"><RESOURCE type="results">
<INFO name="QUERY_STATUS" value="OK"/><TABLE>
<FIELD name="n" datatype="int"/><FIELD name="query" datatype="unicodeChar" arraysize="*"/>
<DATA><TABLEDATA>
{rows}
</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>
"""


def main() -> None:
    """Take the time, then write ``result.vot``."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--query", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--upload")
    asked = parser.parse_args()
    time.sleep(asked.seconds)
    if "nope" in asked.query:
        sys.exit("there is no column nope")
    if asked.upload:
        shutil.copyfile(asked.upload, "result.vot")
        return
    query = escape(asked.query)
    rows = [f"<TR><TD>{n}</TD><TD>{query}</TD></TR>" for n in range(asked.rows)]
    Path("result.vot").write_text(VOTABLE.format(rows="\n".join(rows)), encoding="utf-8")


main()
