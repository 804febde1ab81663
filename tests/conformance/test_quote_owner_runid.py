"""Quote, owner and RUNID (UWS 2.1.6, 2.1.8, 2.1.9, DALI 4.3.6)."""

import pytest

from tests.conformance.asking import (
    NIL,
    Service,
    children,
    document,
    get,
    is_redirect,
    parameters,
    post,
    refuses,
    said,
)
from tests.serving import Server, finished


@pytest.mark.parametrize(("leaf", "element"), [("quote", "quote"), ("owner", "ownerId")])
def test_what_nobody_knows_is_nil_and_an_empty_leaf(
    service: Service, leaf: str, element: str
) -> None:
    """UWS 2.1.6 and 2.1.8: 200 with nothing in it, and not 204 or 404."""
    job = service.pending()
    answer = get(f"{job}/{leaf}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"].startswith("text/plain")
    (found,) = children(document(job), element)
    assert (found.get(NIL), found.text) == ("true", None)


@pytest.mark.parametrize(
    "run_id", [" two  blanks ", "<&>\"' ]]>", "é\u202e\ta\r\nb", "x" * 64, "𝔘" * 64]
)
def test_a_run_id_is_given_back_as_it_was(service: Service, run_id: str) -> None:
    """UWS 2.1.9 (opaque), DALI 4.3.6 (up to 64 characters), in the job and in the list."""
    job = service.pending(RUNID=run_id)
    assert said(document(job), "runId") == run_id
    assert said(next(iter(document(service.joblist))), "runId") == run_id
    same = service.pending(RUNID=run_id)
    assert said(document(same), "runId") == run_id, "two jobs may have one"
    assert "RUNID" not in {str(name).upper() for name, _ in parameters(job)}


@pytest.mark.parametrize("name", ["RUNID", "runId"])
def test_a_run_id_can_be_changed_while_pending(service: Service, name: str) -> None:
    """taplint posts a new one to /parameters and reads it back, once."""
    job = service.pending(RUNID="TAPLINT-001")
    assert is_redirect(post(f"{job}/parameters", {name: "TAPLINT-002"}), job)
    (run_id,) = children(document(job), "runId")
    assert run_id.text == "TAPLINT-002"
    for bad in ("x" * 65, "a\x01"):
        assert refuses(post(f"{job}/parameters", {name: bad}), 400, "RUNID takes")
    twice = post(f"{job}/parameters", {"RUNID": "a", "runid": "a"})
    assert refuses(twice, 400, "RUNID is given 2 times")
    post(f"{job}/phase", {"PHASE": "ABORT"})
    assert refuses(post(f"{job}/parameters", {name: "3"}), 403, "ABORTED")
    assert said(document(job), "runId") == "TAPLINT-002"


def test_a_run_id_is_kept_in_the_log_and_given_to_the_job(site: Server) -> None:
    """DALI 4.3.6: logged, and handed on to what the job calls; a line break makes no log line."""
    job = post(f"{site.url}/runid/async", {"RUNID": "a b\nERROR", "PHASE": "RUN"}).headers[
        "Location"
    ]
    assert finished(job) == "COMPLETED"
    assert get(f"{job}/results/stdout").text == "a b\nERROR\n"
    assert f"{job.rpartition('/')[2]} of runid is handed over, RUNID 'a b\\nERROR'\n" in site.log
