"""Times (UWS 2.2.1, DALI 3.3)."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.conformance.asking import NIL, Service, children, document, get, is_redirect, post, said
from tests.serving import finished

PRINTED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TIMES = ("creationTime", "startTime", "endTime", "destruction", "quote")


def test_times_are_utc_marked_as_such_and_in_order(service: Service) -> None:
    """UWS 2.2.1 (``T`` and ``Z``), and the schema's notes on startTime and endTime."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    jobs = {
        "PENDING": service.pending(),
        "COMPLETED": service.started(),
        "ERROR": service.failed(),
        "ABORTED": service.pending(),
    }
    assert post(f"{jobs['ABORTED']}/phase", {"PHASE": "ABORT"}).status_code == 303
    for phase, job in jobs.items():
        assert phase == "PENDING" or finished(job) == phase
        root = document(job)
        texts = {name: said(root, name) for name in TIMES}
        assert all(PRINTED.fullmatch(text) for text in texts.values() if text), texts
        for name in TIMES:
            (element,) = children(root, name)
            assert (element.get(NIL) == "true") is (not texts[name])
        assert bool(texts["startTime"]) is (phase in ("COMPLETED", "ERROR"))
        assert bool(texts["endTime"]) is (phase != "PENDING")
        steps = [texts[n] for n in ("creationTime", "startTime", "endTime") if texts[n]]
        assert steps == sorted(map(str, steps))
        created = datetime.fromisoformat(str(texts["creationTime"]))
        assert before <= created <= datetime.now(UTC)


SOON = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%d")


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("", "T00:00:00.000Z"),
        ("T03:04:05", "T03:04:05.000Z"),
        ("T03:04:05Z", "T03:04:05.000Z"),
        ("T03:04:05.67", "T03:04:05.670Z"),
        ("T03:04:05.678Z", "T03:04:05.678Z"),
        ("T03:04:05.123456Z", "T03:04:05.123Z"),
    ],
)
def test_a_time_is_taken_in_every_form_of_dali(
    service: Service, written: str, printed: str
) -> None:
    """DALI 3.3: without a zone it is UTC. Milliseconds are kept; pyvo sends microseconds."""
    job = service.pending()
    assert is_redirect(post(f"{job}/destruction", {"DESTRUCTION": SOON + written}), job)
    assert get(f"{job}/destruction").text == SOON + printed
    job = service.pending(destruction=SOON + written)
    assert said(document(job), "destruction") == SOON + printed
