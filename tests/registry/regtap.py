"""A searchable registry: RegTAP 1.2, as far as discovery needs it, filled from a harvest.

Its TAP service is synchronous only, and its ADQL is what SQLite takes for it.
"""

import re
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import requests
from astropy.io.votable import from_table, writeto
from astropy.io.votable.tree import Info
from astropy.table import Table
from lxml import etree
from lxml.etree import _Element

from uwsd.registry.oai.documents import OAI, RI, XSI

TABLES = {
    "resource": "ivoid res_type created short_name res_title updated content_level res_description"
    " reference_url creator_seq content_type source_format source_value res_version"
    " region_of_regard waveband rights rights_uri harvested_from",
    "capability": "ivoid cap_index cap_type cap_description standard_id",
    "interface": "ivoid cap_index intf_index intf_type intf_role std_version query_type result_type"
    " wsdl_url url_use access_url mirror_url authenticated_only",
    "res_subject": "ivoid res_subject",
    "res_role": "ivoid role_name role_ivoid street_address email telephone logo base_role",
    "res_detail": "ivoid cap_index detail_xpath detail_value",
    "relationship": "ivoid relationship_type related_id related_name",
    "alt_identifier": "ivoid alt_identifier",
    "validation": "ivoid validated_by val_level cap_index",
}
Row = dict[str, str | int | None]


class Registry:
    """The tables, and what is done with them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.execute("ATTACH ':memory:' AS rr")
        self._database.execute("PRAGMA case_sensitive_like = ON")  # as in ADQL
        for table, columns in TABLES.items():
            self._database.execute(f"CREATE TABLE rr.{table} ({columns.replace(' ', ', ')})")
        self._database.create_function("ivo_hasword", 2, _has_word)
        self._database.create_function("ivo_nocasematch", 2, _no_case_match)
        self._database.create_aggregate("ivo_string_agg", 2, _Joined)  # type: ignore[arg-type]
        self.queries: list[str] = []

    def harvest(self, url: str) -> None:
        """Take in what a publishing registry says; its records alone are left."""
        with self._lock, self._database:
            for table in TABLES:
                self._database.execute(f"DELETE FROM rr.{table}")
            for resource in _harvested(url):
                for table, row in _rows(resource, url):
                    self._insert(table, row)

    def _insert(self, table: str, row: Row) -> None:
        # What is nothing but space is NULL (RegTAP 1.2 section 4.2).
        values = [v if isinstance(v, int) else (v or "").strip() or None for v in row.values()]
        places = ", ".join("?" * len(row))
        self._database.execute(
            f"INSERT INTO rr.{table} ({', '.join(row)}) VALUES ({places})", values
        )

    def query(self, adql: str, limit: int) -> bytes:
        """Return the VOTable that answers a query."""
        self.queries.append(adql)
        top = re.match(r"\s*SELECT\s+TOP\s+(\d+)", adql, re.IGNORECASE)
        sql = adql if top is None else f"SELECT{adql[top.end() :]}"
        with self._lock:
            cursor = self._database.execute(sql)
            rows = cursor.fetchmany(min(limit, int(top[1])) if top else limit)
            names = [column[0] for column in cursor.description]
        columns = [
            ["" if value is None else value for value in column]
            for column in zip(*rows, strict=True)
        ]
        table = Table(columns or [[""]] * len(names), names=names)
        votable = from_table(table if rows else table[:0])
        document = BytesIO()
        votable.resources[0].infos.append(Info(name="QUERY_STATUS", value="OK"))
        writeto(votable, document)
        return document.getvalue()


def _has_word(text: str | None, words: str) -> int:
    there = re.findall(r"\w+", (text or "").lower())
    wanted = re.findall(r"\w+", words.lower())
    return int(bool(wanted) and set(wanted) <= set(there))


def _no_case_match(text: str | None, pattern: str) -> int:
    like = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern.lower())
    return int(re.fullmatch(like, (text or "").lower(), re.DOTALL) is not None)


class _Joined:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.separator = ""

    def step(self, text: str | None, separator: str) -> None:
        self.separator = separator
        self.texts += [] if text is None else [text]

    def finalize(self) -> str:
        return self.separator.join(self.texts)


def _harvested(url: str) -> Iterator[_Element]:
    query = {"verb": "ListRecords", "metadataPrefix": "ivo_vor", "set": "ivo_managed"}
    while query:
        root = etree.fromstring(requests.get(url, query, timeout=60).content)
        yield from root.iter(f"{{{RI}}}Resource")
        token = root.findtext(f".//{{{OAI}}}resumptionToken")
        query = {"verb": "ListRecords", "resumptionToken": token} if token else {}


def _rows(resource: _Element, url: str) -> Iterator[tuple[str, Row]]:
    """Yield a record's rows; identifiers, types and vocabularies are in lower case (section 4)."""
    if resource.get("status") != "active":
        return
    ivoid = _text(resource, "identifier").lower()
    rights = resource.find("rights")
    row: Row = {
        "ivoid": ivoid,
        "res_type": _type(resource, "vr:Resource"),
        "created": resource.get("created"),
        "updated": resource.get("updated"),
        "short_name": _text(resource, "shortName"),
        "res_title": _text(resource, "title"),
        "content_level": "#".join(_texts(resource, "content/contentLevel")).lower(),
        "content_type": "#".join(_texts(resource, "content/type")).lower(),
        "res_description": _text(resource, "content/description"),
        "reference_url": _text(resource, "content/referenceURL"),
        "creator_seq": "; ".join(_texts(resource, "curation/creator/name")),
        "res_version": _text(resource, "curation/version"),
        "rights": _text(resource, "rights"),
        "rights_uri": None if rights is None else rights.get("rightsURI"),
        "harvested_from": url,
    }
    yield "resource", row
    for subject in _texts(resource, "content/subject"):
        yield "res_subject", {"ivoid": ivoid, "res_subject": subject}
    for alternative in _texts(resource, "altIdentifier"):
        yield "alt_identifier", {"ivoid": ivoid, "alt_identifier": alternative}
    for tag in ("managedAuthority", "managingOrg", "full"):
        for value in _texts(resource, tag):
            yield "res_detail", {"ivoid": ivoid, "detail_xpath": f"/{tag}", "detail_value": value}
    yield from _roles(resource, ivoid)
    yield from _relations(resource, ivoid)
    yield from _capabilities(resource, ivoid)


def _roles(resource: _Element, ivoid: str) -> Iterator[tuple[str, Row]]:
    for role in ("publisher", "creator", "contributor", "contact"):
        for element in resource.iterfind(f"curation/{role}"):
            row: Row = {
                "ivoid": ivoid,
                "base_role": role,
                "role_name": _text(element, "name") or element.text,
                "role_ivoid": element.get("ivo-id", "").lower(),
                "street_address": _text(element, "address"),
                "email": _text(element, "email"),
                "telephone": _text(element, "telephone"),
            }
            yield "res_role", row


def _relations(resource: _Element, ivoid: str) -> Iterator[tuple[str, Row]]:
    for relation in resource.iterfind("content/relationship"):
        for related in relation.iterfind("relatedResource"):
            row: Row = {
                "ivoid": ivoid,
                "relationship_type": _text(relation, "relationshipType").lower(),
                "related_id": related.get("ivo-id", "").lower(),
                "related_name": related.text,
            }
            yield "relationship", row


def _capabilities(resource: _Element, ivoid: str) -> Iterator[tuple[str, Row]]:
    number = 0
    for cap_index, capability in enumerate(resource.iterfind("capability"), 1):
        row: Row = {
            "ivoid": ivoid,
            "cap_index": cap_index,
            "cap_type": _type(capability, "vr:Capability"),
            "cap_description": _text(capability, "description"),
            "standard_id": capability.get("standardID", "").lower(),
        }
        yield "capability", row
        for interface in capability.iterfind("interface"):
            number += 1
            methods = [m.get("standardID") for m in interface.iterfind("securityMethod")]
            access = interface.find("accessURL")
            assert access is not None
            row = {
                "ivoid": ivoid,
                "cap_index": cap_index,
                "intf_index": number,
                "intf_type": _type(interface, "vr:WebBrowser"),
                "intf_role": interface.get("role", "").lower(),
                "std_version": interface.get("version", "").lower(),
                "query_type": "#".join(_texts(interface, "queryType")).lower(),
                "result_type": _text(interface, "resultType").lower(),
                "url_use": access.get("use", "").lower(),
                "access_url": access.text,
                "authenticated_only": int(bool(methods) and None not in methods),
            }
            yield "interface", row
            for method in filter(None, methods):
                path = "/capability/interface/securityMethod/@standardID"
                detail: Row = {"ivoid": ivoid, "cap_index": cap_index, "detail_xpath": path}
                yield "res_detail", {**detail, "detail_value": method}


def _type(element: _Element, otherwise: str) -> str:
    return element.get(f"{{{XSI}}}type", otherwise).lower()


def _text(element: _Element, path: str) -> str:
    return element.findtext(path) or ""


def _texts(element: _Element, path: str) -> Sequence[str]:
    return [(found.text or "").strip() for found in element.iterfind(path)]


class _Handler(BaseHTTPRequestHandler):
    registry: Registry

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self, form: str) -> None:
        fields = {name.upper(): values[-1] for name, values in parse_qs(form).items()}
        if urlsplit(self.path).path != "/tap/sync":
            self.send_error(404)
            return
        try:
            document = self.registry.query(fields["QUERY"], int(fields.get("MAXREC", 2000)))
        except sqlite3.Error as error:
            self.send_error(400, str(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-votable+xml")
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        self.wfile.write(document)


@contextmanager
def serving(registry: Registry) -> Iterator[str]:
    """Serve the tables by TAP; give the URL."""
    handler = type("Handler", (_Handler,), {"registry": registry})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/tap"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
