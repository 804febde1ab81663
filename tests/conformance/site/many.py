"""The service `many`: results of several kinds, two of them of one name's making."""

from pathlib import Path

Path("main.vot").write_text('<VOTABLE xmlns="http://www.ivoa.net/xml/VOTable/v1.3"/>')
Path("page.html").write_text("<script>alert(1)</script>")
for name in ("a b.svg", "a_b.svg", "result.svg"):
    Path(name).write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
