"""A client that does anything, legal or not, and never finds a difference from the standard.

``UWSD_STEPS=50000`` says how many steps; ``--hypothesis-seed`` repeats a run.
"""

import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
import requests
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lxml import etree

from tests.properties import samples
from tests.properties.model import (
    OVER,
    PHASES,
    Job,
    Outcome,
    granted_destruction,
    granted_duration,
)
from tests.serving import Server
from uwsd.schemas import validate

STEPS = int(os.environ.get("UWSD_STEPS", "2000"))
STEPS_A_RUN = 50
AT_ONCE = 8
"""Jobs at a time, at the most."""

UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Case = Callable[[str], str]
WHICH = st.integers(0, AT_ONCE - 1)
SERVICE = st.sampled_from(["demo", "checksum"])
CASE = st.sampled_from([str.upper, str.lower, str.title])
ENCODING = st.sampled_from(["urlencoded", "multipart", "query"])


class Client(RuleBasedStateMachine):
    """Each rule sends a request to the server, and asks the model what must come of it."""

    server = ""
    sent: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []
        self.http = requests.Session()
        self.http.headers["Accept"] = "application/xml,text/plain"  # 2.2.2

    @initialize()
    def begin(self) -> None:
        self.make("demo", {"TEXT": "first"})
        self.make("checksum", {"FILE": "second"}, encoding="multipart")

    def teardown(self) -> None:
        for service in ("demo", "checksum"):
            for ref in etree.fromstring(self.ask("GET", self.list_url(service)).content):
                gone = self.ask("DELETE", f"{self.list_url(service)}/{ref.get('id')}")
                assert gone.status_code == 303
        self.http.close()

    # Making jobs.

    @precondition(lambda self: len(self.jobs) < AT_ONCE)
    @rule(
        data=st.data(),
        service=SERVICE,
        case=CASE,
        encoding=ENCODING,
        run=st.booleans(),
        duration=st.none() | samples.DURATIONS,
        days=st.none() | samples.DAYS,
    )
    def create(
        self,
        *,
        data: st.DataObject,
        service: str,
        case: Case,
        encoding: str,
        run: bool,
        duration: str | None,
        days: int | None,
    ) -> None:
        """2.2.3.1: control parameters may come along with those of the job."""
        fields = {case(name): value for name, value in data.draw(samples.GOOD[service]).items()}
        controls = {} if duration is None else {case("EXECUTIONDURATION"): duration}
        if days is not None:
            end = datetime.now(UTC) + timedelta(days=days)
            controls[case("DESTRUCTION")] = f"{end:%Y-%m-%dT%H:%M:%S.%fZ}"
        self.make(
            service, fields, controls, run={case("PHASE"): "RUN"} if run else {}, encoding=encoding
        )

    @rule(service=SERVICE, bad=samples.BAD, in_query=st.booleans())
    def create_badly(self, service: str, bad: str, in_query: bool) -> None:
        url = self.list_url(service)
        if in_query:
            answer = self.ask("POST", f"{url}?{bad}")
        else:
            answer = self.ask("POST", url, data=bad, headers=FORM)
        assert 400 <= answer.status_code < 500, answer.text

    # Changing jobs.

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), which=WHICH, case=CASE, encoding=ENCODING)
    def post_parameters(
        self, *, data: st.DataObject, which: int, case: Case, encoding: str
    ) -> None:
        job = self.job(which)
        fields = {case(name): value for name, value in data.draw(samples.GOOD[job.service]).items()}
        answer = self.post(f"{job.url}/parameters", fields, encoding)
        if self.came(job, answer, job.set_parameters()):
            job.give(fields)
        self.look(job)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, name=st.sampled_from(["TEXT", "text", "other", "FILE"]), value=samples.TEXTS)
    def put_parameter(self, which: int, name: str, value: str) -> None:
        job = self.job(which)
        plain = {"Content-Type": "text/plain"}
        answer = self.ask("PUT", f"{job.url}/parameters/{name}", data=value.encode(), headers=plain)
        if self.came(job, answer, job.put(name)):
            job.give({name: value})
        self.look(job)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, bad=samples.BAD)
    def post_bad_parameters(self, which: int, bad: str) -> None:
        job = self.job(which)
        answer = self.ask("POST", f"{job.url}/parameters", data=bad, headers=FORM)
        assert 400 <= answer.status_code < 500, answer.text
        self.look(job)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, case=CASE, encoding=ENCODING, leaf=st.sampled_from(["", "/phase"]))
    def run(self, *, which: int, case: Case, encoding: str, leaf: str) -> None:
        job = self.job(which)
        answer = self.post(job.url + leaf, {case("PHASE"): "RUN"}, encoding)
        self.came(job, answer, job.run())
        self.look(job)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, case=CASE, encoding=ENCODING, leaf=st.sampled_from(["", "/phase"]))
    def abort(self, *, which: int, case: Case, encoding: str, leaf: str) -> None:
        job = self.job(which)
        answer = self.post(job.url + leaf, {case("PHASE"): "ABORT"}, encoding)
        self.came(job, answer, job.abort())
        self.look(job)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, asked=samples.DURATIONS, case=CASE, encoding=ENCODING)
    def set_duration(self, *, which: int, asked: str, case: Case, encoding: str) -> None:
        job = self.job(which)
        fields = {case("EXECUTIONDURATION"): asked}
        answer = self.post(f"{job.url}/executionduration", fields, encoding)
        if self.came(job, answer, job.set_duration()):
            job.duration = granted_duration(asked)
        self.look(job)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, days=samples.DAYS, form=samples.FORMS, case=CASE, encoding=ENCODING)
    def set_destruction(
        self, *, which: int, days: int, form: str, case: Case, encoding: str
    ) -> None:
        job = self.job(which)
        asked = f"{datetime.now(UTC) + timedelta(days=days):{form}}"
        answer = self.post(f"{job.url}/destruction", {case("DESTRUCTION"): asked}, encoding)
        self.came(job, answer, {303: job.phases})
        at = datetime.strptime(asked, form).replace(tzinfo=UTC)
        job.destruction = granted_destruction(at)
        self.look(job)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, by_post=st.booleans(), case=CASE, encoding=ENCODING)
    def delete(self, *, which: int, by_post: bool, case: Case, encoding: str) -> None:
        job = self.jobs.pop(which % len(self.jobs))
        if by_post:
            answer = self.post(job.url, {case("ACTION"): "DELETE"}, encoding)
        else:
            answer = self.ask("DELETE", job.url)
        assert answer.status_code == 303
        assert answer.headers["Location"] == self.list_url(job.service)
        for path in ("", "/phase", "/results", "/parameters/TEXT"):
            assert self.ask("GET", job.url + path).status_code == 404

    # Reading.

    @rule(
        service=SERVICE,
        phases=samples.FILTERS,
        last=st.sampled_from([None, None, 1, 2, 5, 1000]),
        after=st.none() | WHICH,
        case=CASE,
    )
    def read_list(
        self, *, service: str, phases: list[str], last: int | None, after: int | None, case: Case
    ) -> None:
        """2.2.2.1: filters are combined by AND, then the newest LAST are listed, newest first."""
        since = self.job(after).created if after is not None and self.jobs else "2015"
        query = [(case("PHASE"), phase) for phase in phases]
        query += [(case("AFTER"), since)] * (after is not None)
        query += [(case("LAST"), str(last))] * (last is not None)
        answer = self.ask("GET", self.list_url(service), params=query)
        validate(answer.content)
        refs = {str(ref.get("id")): ref for ref in etree.fromstring(answer.content)}
        mine = {job.id: job for job in self.jobs if job.service == service and job.created > since}
        assert refs.keys() <= mine.keys()
        for id_, ref in refs.items():
            mine[id_].saw(str(text(ref, "phase")))
            assert mine[id_].phases & set(phases or PHASES)
            assert text(ref, "runId") == mine[id_].run_id
        times = [str(text(ref, "creationTime")) for ref in refs.values()]
        assert times == [mine[id_].created for id_ in refs] == sorted(times, reverse=True)
        assert last is None or len(refs) <= last
        oldest = times[-1] if len(refs) == last else ""  # for those before it there was no room
        for job in mine.values():
            if job.id not in refs and job.created > oldest:
                assert not job.phases <= set(phases or PHASES), f"{job} is missing"

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH)
    def read_leaves(self, which: int) -> None:
        """2.2.2: a bare value that is the same in the job, or that part of the job."""
        job = self.job(which)
        phase = self.ask("GET", f"{job.url}/phase").text
        job.saw(phase)
        error = self.ask("GET", f"{job.url}/error")
        document = self.look(job)
        assert error.status_code == 200 or phase != "ERROR"
        assert error.status_code == 404 or job.phases == {"ERROR"}
        for element in ("executionDuration", "destruction", "quote", "ownerId"):
            leaf = element.removesuffix("Id").lower()
            value = self.ask("GET", f"{job.url}/{leaf}")
            assert value.text == (text(document, element) or ""), leaf
            assert value.headers["Content-Type"].startswith("text/plain")
        for leaf in ("results", "parameters"):
            part = self.ask("GET", f"{job.url}/{leaf}").content
            validate(part)
            assert etree.fromstring(part).tag == f"{UWS}{leaf}"

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, phase=st.none() | st.sampled_from(sorted(PHASES)))
    def wait(self, which: int, phase: str | None) -> None:
        """2.2.1.2: the answer comes when the phase changes, and at once if it is another one."""
        job = self.job(which)
        rests = not job.phases & OVER and ("PENDING" in job.phases or job.end is None)
        seconds = 0 if rests and phase in {None, *job.phases} else 20
        query = {"WAIT": str(seconds)} | ({} if phase is None else {"PHASE": phase})
        began = time.monotonic()
        assert self.ask("GET", job.url, params=query).status_code == 200
        assert time.monotonic() - began < 18, "it slept through the change"
        self.look(job)

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH)
    def see_to_the_end(self, which: int) -> None:
        job = self.job(which)
        while job.end in job.phases and len(job.phases) > 1:
            self.ask("GET", job.url, params={"WAIT": "20"})
            self.look(job)
        results = self.look(job).iterfind(f"{UWS}results/*")
        if job.phases == {"COMPLETED"}:
            assert {r.get("id") for r in results} == {"result", "stdout", "stderr"}
        if job.phases == {"COMPLETED"} and job.service == "demo":
            content = self.ask("GET", f"{job.url}/results/result").content
            assert content == job.parameters.get("TEXT", ("", "hello"))[1].encode()

    @precondition(lambda self: self.jobs)
    @rule(which=WHICH, wrong=samples.WRONG)
    def ask_in_vain(self, which: int, wrong: tuple[str, str, int]) -> None:
        job = self.job(which)
        method, url, status = wrong
        here = self.list_url(job.service)
        other = self.list_url("checksum" if job.service == "demo" else "demo")
        names = {
            "list": here,
            "other": other,
            "id": job.id,
            "ID": job.id.upper(),
            "nobody": uuid4(),
        }
        answer = self.ask(method, url.format_map(names))
        assert answer.status_code == status, answer.text
        assert status != 405 or answer.headers["Allow"]
        assert status < 400 or answer.headers["Content-Type"].startswith("text/plain")
        self.look(job)

    # What the rules share.

    def make(
        self,
        service: str,
        fields: dict[str, str],
        controls: dict[str, str] | None = None,
        *,
        run: dict[str, str] | None = None,
        encoding: str = "urlencoded",
    ) -> None:
        """Create a job, here and in the model."""
        job = Job(service)
        job.give(fields)
        given = {name.upper(): value for name, value in (controls or {}).items()}
        if duration := given.get("EXECUTIONDURATION"):
            job.duration = granted_duration(duration)
        if destruction := given.get("DESTRUCTION"):
            job.destruction = granted_destruction(datetime.fromisoformat(destruction))
        outcome = job.run() if run else {303: job.phases}
        answer = self.post(
            self.list_url(service), fields | (controls or {}) | (run or {}), encoding
        )
        if 403 in outcome:  # what cannot run now is not made (docs/standards.md)
            assert answer.status_code == 400
            return
        self.came(job, answer, outcome)
        job.url = answer.headers["Location"]
        assert re.fullmatch(rf"{self.list_url(service)}/[A-Za-z0-9._~-]+", job.url)
        self.jobs.append(job)
        self.look(job)

    def look(self, job: Job) -> etree._Element:
        """Read a job, and compare all of it with what the model says."""
        answer = self.ask("GET", job.url)
        assert answer.status_code == 200
        validate(answer.content)
        document = etree.fromstring(answer.content)
        phase = str(text(document, "phase"))
        job.saw(phase)
        job.created = job.created or str(text(document, "creationTime"))
        assert text(document, "jobId") == job.id
        assert text(document, "runId") == job.run_id
        assert text(document, "ownerId") is None
        assert text(document, "creationTime") == job.created
        assert text(document, "executionDuration") == str(job.duration)
        earliest, latest = job.destruction
        at = datetime.fromisoformat(str(text(document, "destruction")))
        assert earliest - timedelta(milliseconds=1) <= at <= latest
        started, ended = text(document, "startTime"), text(document, "endTime")
        assert (ended is not None) == (phase in OVER)
        assert (started is not None) or phase not in {"EXECUTING", "COMPLETED"}
        assert (started is None) or phase not in {"PENDING", "QUEUED"}
        assert (started is not None) or document.find(f"{UWS}results/*") is None
        assert (document.find(f"{UWS}errorSummary") is not None) == (phase == "ERROR")
        given = {p.get("id"): self.value(job, p) for p in document.iterfind(f"{UWS}parameters/*")}
        assert given == dict(job.parameters.values())
        return document

    def value(self, job: Job, parameter: etree._Element) -> str:
        """2.2.3.1.1: what is given by reference is at the URL of the parameter."""
        if not parameter.get("byReference"):
            return parameter.text or ""
        assert str(parameter.text).startswith(f"{job.url}/parameters/")
        return self.ask("GET", str(parameter.text)).content.decode()

    def came(self, job: Job, answer: requests.Response, outcome: Outcome) -> bool:
        """Compare an answer with the outcomes in the model; return whether it was done."""
        assert answer.status_code in outcome, f"{answer.status_code} {answer.text}, not {outcome}"
        job.phases = set(outcome[answer.status_code])
        done = answer.status_code == 303
        assert not done or not job.url or answer.headers["Location"] == job.url
        return done

    def post(self, url: str, fields: dict[str, str], encoding: str) -> requests.Response:
        """DALI 2: every encoding does the same."""
        if encoding == "multipart":
            is_file = "/checksum/" in url
            names = {
                name: "a.txt" if is_file and name.upper() == "FILE" else None for name in fields
            }
            parts = {name: (names[name], value.encode()) for name, value in fields.items()}
            return self.ask("POST", url, files=parts or {"": ""})
        if encoding == "query" and all(len(value) < 1000 for value in fields.values()):
            return self.ask("POST", url, params=fields)
        return self.ask("POST", url, data=fields)

    def ask(self, method: str, url: str, **more: Any) -> requests.Response:
        self.sent[method] += 1
        return self.http.request(method, url, allow_redirects=False, timeout=60, **more)

    def list_url(self, service: str) -> str:
        return f"{self.server}/{service}/async"

    def job(self, which: int) -> Job:
        return self.jobs[which % len(self.jobs)]


def text(of: etree._Element, name: str) -> str | None:
    """Return the text of a child, or None if there is none or it is nil."""
    child = of.find(UWS + name)
    return None if child is None or child.get(NIL) == "true" else child.text or ""


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server without other clients: its lists hold what this client has made."""
    server = Server(tmp_path / "data").start()
    yield server
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log


@pytest.mark.timeout(120 + STEPS // 5)
def test_no_client_finds_a_difference_from_the_standard(
    own_server: Server, pytestconfig: pytest.Config
) -> None:
    asked = pytestconfig.getoption("--hypothesis-seed")
    number = random.randrange(2**32) if asked is None else int(asked)
    print(f"--hypothesis-seed={number}")
    Client.server = own_server.url
    options = settings(
        max_examples=max(1, STEPS // STEPS_A_RUN),
        stateful_step_count=STEPS_A_RUN,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(seed(number)(Client), settings=options)
    print(f"requests: {dict(Client.sent)}")
