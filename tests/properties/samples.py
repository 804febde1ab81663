"""What the client of the state machine sends: good values and bad ones."""

from hypothesis import strategies as st

from tests.properties.model import PHASES

TEXTS = st.sampled_from(
    ["hello", "", " a ", "<&>\"'", "é ☃ 𝄞", "a\r\nb\tc", "\x0b\x1b", "x" * 9000]
)
RUN_IDS = st.sampled_from(["", "run", "a b", "<&>\"'é", "x" * 64])
GOOD = {
    "demo": st.fixed_dictionaries(
        {},
        optional={
            "TEXT": TEXTS,
            "SECONDS": st.sampled_from(["0", "0", "0.05", "60"]),
            "EXIT": st.sampled_from(["0", "1", "255", ""]),
            "other": TEXTS,
            "RUNID": RUN_IDS,
        },
    ),
    # An empty field of a file counts as none: docs/standards.md.
    "checksum": st.fixed_dictionaries({}, optional={"FILE": TEXTS.filter(bool), "RUNID": RUN_IDS}),
}
BAD = st.sampled_from(
    [
        "RUNID=a&runid=b", "RUNID=" + "x" * 65, "RUNID=%00", "=a", "a%0Ab=c", "TEXT=%FF",
        "SECONDS=many&FILE=file:///etc/passwd", "SECONDS=1&seconds=1&FILE=a&file=b",
        "UPLOAD=FILE", "UPLOAD=FILE,param:none", "PHASE=run", "PHASE=ABORT", "PHASE=RUN&phase=RUN",
        "EXECUTIONDURATION=-1", "EXECUTIONDURATION=1.5", "DESTRUCTION=soon", "DESTRUCTION=",
        "DESTRUCTION=2999-01-01T00:00:00%2B01:00",
    ]
)  # fmt: skip
DURATIONS = st.sampled_from(["60", "3600", "0", "86400", "999999999999"])
DAYS = st.sampled_from([2, 5, 29, 400])
FORMS = st.sampled_from(
    ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M"]
)
WRONG = st.sampled_from(
    [
        ("GET", "{list}/nope", 404), ("GET", "{list}/{nobody}", 404), ("POST", "{list}/{nobody}/phase?PHASE=RUN", 404),
        ("DELETE", "{list}/{nobody}", 404), ("GET", "{other}/{id}", 404), ("DELETE", "{other}/{id}", 404),
        ("GET", "{list}/{id}/nosuch", 404), ("GET", "{list}/{id}/executionDuration", 404), ("GET", "{list}/{ID}", 404),
        ("GET", "{list}/{id}/results/none", 404), ("GET", "{list}/{id}/parameters/none", 404),
        ("DELETE", "{list}", 405), ("PUT", "{list}", 405), ("PUT", "{list}/{id}", 405), ("PUT", "{list}/{id}/phase", 405),
        ("DELETE", "{list}/{id}/phase", 405), ("DELETE", "{list}/{id}/parameters", 405), ("POST", "{list}/{id}/quote", 405),
        ("POST", "{list}/{id}/owner", 405), ("POST", "{list}/{id}/error", 405), ("POST", "{list}/{id}/results", 405),
        ("DELETE", "{list}/{id}/results/stdout", 405), ("POST", "{list}/{id}/parameters/TEXT", 405),
        ("POST", "{list}/{id}", 400), ("POST", "{list}/{id}?TEXT=a", 400), ("POST", "{list}/{id}?ACTION=delete", 400),
        ("POST", "{list}/{id}/phase", 400), ("POST", "{list}/{id}/phase?PHASE=COMPLETED", 400),
        ("POST", "{list}/{id}/phase?PHASE=RUN&phase=ABORT", 400), ("POST", "{list}/{id}/parameters?PHASE=RUN", 400),
        ("POST", "{list}/{id}/destruction?DESTRUCTION=2026-13-01", 400), ("POST", "{list}/{id}/destruction", 400),
        ("GET", "{list}/{id}?WAIT=x", 400), ("GET", "{list}/{id}?WAIT=-2", 400), ("GET", "{list}/{id}?wait=1.5", 400),
        ("GET", "{list}/{id}?WAIT=1&WAIT=1", 400), ("GET", "{list}/{id}?WAIT=1&PHASE=DONE", 400),
        ("GET", "{list}?LAST=0", 400), ("GET", "{list}?LAST=-1", 400), ("GET", "{list}?last=x", 400), ("GET", "{list}?PHASE=DONE", 400),
        ("GET", "{list}?PHASE=pending", 400), ("GET", "{list}?AFTER=2015-26-10", 400), ("GET", "{list}?AFTER=2015&after=2016", 400),
        ("GET", "{list}?AFTER=2015-10-26T09:00%2B01:00", 400), ("GET", "{list}/{id}/phase?PHASE=RUN", 200), ("GET", "{list}/{id}?ACTION=DELETE", 200),
        ("GET", "{list}/{id}?PHASE=nonsense", 200), ("GET", "{list}?nonsense=1", 200), ("HEAD", "{list}", 200), ("HEAD", "{list}/{id}", 200),
        ("OPTIONS", "{list}/{id}/phase", 200), ("GET", "{list}/{id}/", 200),
    ]
)  # fmt: skip
"""What changes nothing, and the status that it gets."""


FILTERS = st.lists(st.sampled_from(sorted(PHASES)), max_size=3)
