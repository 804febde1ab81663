"""Documents of servers that mean well, and of servers that do not."""

import pytest

from uwsd.client.documents import RemoteJob, read_job, read_list
from uwsd.client.errors import NotUws
from uwsd.uws.phase import Phase

URL = "http://host/svc/async/7"
NAMESPACES = (
    'xmlns="http://www.ivoa.net/xml/UWS/v1.0" xmlns:l="http://www.w3.org/1999/xlink" version="1.1"'
)


def _job(inside: str) -> RemoteJob:
    return read_job(f"<job {NAMESPACES}>{inside}</job>".encode(), URL)


def test_what_a_server_leaves_out_is_made_up_for() -> None:
    job = _job("<phase>COMPLETED</phase><results><result id='a b/c'/></results>")
    assert (job.id, job.phase, job.error, job.info) == ("7", Phase.COMPLETED, None, "")
    (result,) = job.results
    assert (result.url, result.size, result.media_type) == (
        f"{URL}/results/a%20b%2Fc",
        None,
        None,
    )


def test_a_phase_that_the_standard_has_not_is_unknown() -> None:
    assert _job("<phase>DREAMING</phase>").phase is Phase.UNKNOWN
    assert _job("").phase is Phase.UNKNOWN


@pytest.mark.parametrize("size", ["", "-1", "1.5", "many", "9" * 5000])
def test_a_size_that_is_none_is_not_used(size: str) -> None:
    assert _job(f"<results><result id='a' size='{size}'/></results>").results[0].size is None


def test_a_link_is_relative_to_the_document_and_xlink_may_have_any_prefix() -> None:
    (result,) = _job("<results><result id='a' l:href='7/x'/></results>").results
    assert result.url == "http://host/svc/async/7/x"


def test_a_link_that_is_no_url_is_said_to_be_none() -> None:
    with pytest.raises(NotUws, match="is no URL"):
        _job("<results><result id='a' l:href='http://[x'/></results>")


def test_all_the_text_of_job_info_is_one_line() -> None:
    job = _job("<phase>QUEUED</phase><jobInfo><a>over\n quota</a><b><c>5</c></b></jobInfo>")
    assert job.summary == "QUEUED over quota 5"


def test_a_list_gives_links_of_its_own_or_none() -> None:
    document = f"<jobs {NAMESPACES}><jobref id='1' l:href='/other/1'/><jobref id='2'/></jobs>"
    found = read_list(document.encode(), "http://host/svc/async")
    assert [job.url for job in found] == ["http://host/other/1", "http://host/svc/async/2"]


@pytest.mark.parametrize("document", ["", "text", "<html/>", "<jobs/>", "<!DOCTYPE html><p>x<br>"])
def test_anything_else_is_no_job(document: str) -> None:
    with pytest.raises(NotUws):
        read_job(document.encode(), URL)


def test_entities_are_not_read() -> None:
    entity = '<!DOCTYPE job [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    job = read_job(f"{entity}<job {NAMESPACES}><jobInfo>&e;</jobInfo></job>".encode(), URL)
    assert job.info == ""
