"""The parameters of a job (UWS 2.1.11, 2.2.2.4, DALI 2.1)."""

import pytest

from tests.conformance.asking import (
    Service,
    ask,
    children,
    create,
    document,
    get,
    is_redirect,
    parameters,
    post,
    refuses,
)
from tests.serving import Server, finished


def test_parameters_are_added_and_replaced_while_pending(service: Service) -> None:
    """DALI 2.1: clients may add; names are one in any case (4.1), so none is there twice."""
    job = service.pending()
    name, value = service.changed
    assert is_redirect(post(f"{job}/parameters", {"New Name": "1"}), job)
    assert is_redirect(post(f"{job}/parameters", {"NEW NAME": "2", name.swapcase(): value}), job)
    unchanged = {n: v for n, v in service.fields.items() if n != name}
    assert dict(parameters(job)) == {**unchanged, "NEW NAME": "2", name.swapcase(): value}
    assert get(f"{job}/parameters/new%20name").text == "2"


def test_put_replaces_and_does_not_add(service: Service) -> None:
    """UWS 2.1.11: the value of a parameter that is there."""
    job = service.pending()
    name, value = service.changed
    url = f"{job}/parameters/{name.swapcase()}"
    assert is_redirect(ask("PUT", url, data=value.encode()), job)
    assert get(url).text == value
    assert len(parameters(job)) == len(service.fields)
    assert refuses(ask("PUT", f"{job}/parameters/other", data=b"1"), 404, "no parameter other")
    assert refuses(ask("PUT", f"{job}/parameters", data=b"1"), 405)


def test_parameters_are_not_taken_at_the_job(service: Service) -> None:
    """DALI 2.1."""
    job = service.pending()
    before = get(job).content
    for fields in ({service.changed[0]: "x"}, {"QUERY": "x"}, {"QUERY": "x", "PHASE": "RUN"}):
        assert refuses(post(job, fields), 400, "parameters to /parameters")
    assert get(job).content == before


def test_what_has_a_url_of_its_own_is_not_taken_as_a_parameter(service: Service) -> None:
    """UWS 2.2.1: each thing has one place."""
    job = service.pending()
    for name in ("PHASE", "Destruction", "executionduration", "action"):
        answer = post(f"{job}/parameters", {name: "1", service.changed[0]: "x"})
        assert refuses(answer, 400, f"{name.upper()} is no parameter of the job")
    assert dict(parameters(job)) == service.fields


@pytest.mark.parametrize("phase", ["COMPLETED", "ERROR", "ABORTED"])
def test_nothing_changes_them_afterwards(service: Service, phase: str) -> None:
    """DALI 2.1."""
    match phase:
        case "COMPLETED":
            job = service.started()
        case "ERROR":
            job = service.failed()
        case _:
            job = service.pending()
            post(f"{job}/phase", {"PHASE": "ABORT"})
    assert finished(job) == phase
    before = get(job).content
    name, value = service.changed
    says = f"a job that is {phase} keeps its parameters"
    assert refuses(post(f"{job}/parameters", {name: value}), 403, says)
    assert refuses(post(f"{job}/parameters", {"other": value}), 403, says)
    assert refuses(ask("PUT", f"{job}/parameters/{name}", data=b"1"), 403, says)
    assert get(job).content == before


def test_nothing_changes_them_while_it_runs(site: Server) -> None:
    """DALI 2.1."""
    for phase, fields in (("QUEUED", {}), ("EXECUTING", {"SECONDS": "60"})):
        service = "unlimited" if fields else "puppet"
        job = create(f"{site.url}/{service}/async", {**fields, "PHASE": "RUN"})
        while get(f"{job}/phase").text != phase:
            get(job, params={"WAIT": "10"})
        assert refuses(post(f"{job}/parameters", {"SECONDS": "1"}), 403, phase)
        ask("DELETE", job)


# Characters that XML 1.0 has not, not even escaped (its section 2.2).
UNPRINTABLE = ("\x0b", "\ufffe", "é\x1b[31m")


@pytest.mark.parametrize("value", UNPRINTABLE, ids=ascii)
def test_what_xml_cannot_hold_is_given_by_reference(service: Service, value: str) -> None:
    """Appendix B, the note on Parameter: the value is exactly what the URL gives."""
    name = "free" if service.changed[0] == "FILE" else service.changed[0]
    job = create(service.joblist, {name: value})
    (parameter,) = children(document(job), "parameter")
    assert parameter.get("byReference") == "true"
    assert parameter.text == f"{job}/parameters/{name}"
    assert get(parameter.text).content == value.encode()
    # The list of jobs and the page for browsers are none the worse for it.
    assert document(service.joblist) is not None
    browser = {"Accept": "application/xhtml+xml"}
    assert get(job, headers=browser).status_code == 200


@pytest.mark.parametrize("name", ["a b", "é日", "a&b+c%", "a?b#c", "A.b-c_d", '"<x>'])
def test_any_name_is_a_segment_of_a_url(service: Service, name: str) -> None:
    """UWS 2.2.1; a value that is a reference has to be found under it."""
    job = create(service.joblist, {name: "\x01"})
    (parameter,) = children(document(job), "parameter")
    assert parameter.get("id") == name
    assert get(str(parameter.text)).text == "\x01"


@pytest.mark.parametrize("name", ["", "a\x01", "a/b", "/", ".", "..", "\ufffe"])
def test_what_cannot_be_one_is_no_name(service: Service, name: str) -> None:
    """RFC 3986 section 3.3: clients take dots and slashes out of a path."""
    for answer in (
        post(service.joblist, {name: "1"}),
        post(f"{service.pending()}/parameters", {name: "1"}),
    ):
        assert refuses(answer, 400, "a parameter")


def test_an_unknown_parameter_is_kept_and_named(service: Service) -> None:
    """Clients add REQUEST, LANG, VERSION and more: DALI 4.3.2 says to ignore the last."""
    sent = {"REQUEST": "doQuery", "LANG": "ADQL", "lang2": "adql", "tapclient": "x"}
    job = service.started(**sent)
    assert dict(parameters(job)) == {**service.fields, **sent}
    ignored = document(job).findtext(".//{urn:uwsd:jobinfo:1}ignored")
    assert str(ignored).split(", ") == list(sent)
    assert finished(job) == "COMPLETED"
