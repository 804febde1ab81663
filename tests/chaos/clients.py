"""Clients that want something of a job each, and do not give up while the server is away."""

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count
from urllib.parse import urlencode, urlsplit

import requests
from lxml import etree

from uwsd.uws.documents import UWS

FINAL = frozenset({"COMPLETED", "ERROR", "ABORTED"})
_XLINK = "{http://www.w3.org/1999/xlink}href"
_TIMEOUT = 20.0  #: seconds for one answer, beyond a WAIT
_PAUSE = 0.2  #: seconds before the same is asked again
_WAIT = 5
_HANG_UP = 0.15
_LONG = 40.0
"""Seconds for which a job runs that is stopped before; nobody stops what came of a lost answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What one client wants of its job. All times are in seconds."""

    number: int
    begins: float  #: after the storm has begun
    seconds: float  #: how long the command takes
    code: int = 0  #: its exit status
    run_after: float = 0  #: 0: created with PHASE=RUN
    runs: bool = True  #: whether it is ever told to
    hangs_up: bool = False  #: whether its client does not wait for the answer to the creation
    duration: int | None = None  #: the executionDuration it is given
    abort_after: float | None = None
    delete_after: float | None = None

    @property
    def run_id(self) -> str:
        """The job's name, which the client has chosen."""
        return f"storm-{self.number}"

    @property
    def text(self) -> str:
        """What the result has to be."""
        return f"result-{self.number}"


def fates(dice: random.Random, jobs: int, seconds: float) -> list[Fate]:
    """Choose what happens to so many jobs, which are created within ``seconds``."""
    return [_fate(dice, number, dice.uniform(0, seconds)) for number in range(jobs)]


def _fate(dice: random.Random, number: int, begins: float) -> Fate:
    code = dice.choice([0, 0, 0, dice.randint(1, 125)])
    plain = {"number": number, "begins": begins, "seconds": round(dice.uniform(0, 4), 2)}
    plain["hangs_up"] = dice.random() < _HANG_UP
    long = {**plain, "seconds": _LONG}
    soon = round(dice.uniform(0, 4), 2)
    kinds: Sequence[tuple[int, Mapping[str, object]]] = (
        (45, {**plain, "code": code}),
        (15, {**plain, "code": code, "run_after": soon + 0.1}),
        (10, {**long, "abort_after": soon}),
        (6, {**plain, "abort_after": soon, "code": code}),
        (6, {**long, "delete_after": soon}),
        (5, {**plain, "delete_after": soon}),
        (9, {**long, "duration": dice.randint(1, 3)}),
        (2, {**plain, "runs": False}),
        (2, {**plain, "runs": False, "abort_after": soon}),
    )
    (chosen,) = dice.choices([fate for _, fate in kinds], [weight for weight, _ in kinds])
    return Fate(**chosen)  # type: ignore[arg-type]


@dataclass(slots=True, kw_only=True)
class Story:
    """What has become of a job, as its client was told."""

    fate: Fate
    url: str = ""
    lost_posts: int = 0  #: creations of which nobody knows whether they have made a job
    was_found: bool = False  #: whether the job came of one of these
    phases: list[str] = field(default_factory=list)  #: as they were seen, each change once
    ran: bool = False
    aborted: bool = False  #: whether the server has said so
    deleted: bool = False
    faults: list[str] = field(default_factory=list)

    @property
    def job_id(self) -> str:
        """The job's id; empty while there is none."""
        return self.url.rpartition("/")[2]

    def saw(self, phase: str) -> None:
        """Note the phase that the server has told just now."""
        if phase and self.phases[-1:] != [phase]:
            self.phases.append(phase)


class Client:
    """One client with one job: it asks again whenever an answer did not come."""

    def __init__(self, joblist: str, fate: Fate, answers: Counter[str]) -> None:
        """``answers`` counts what it is answered."""
        self.story = Story(fate=fate)
        self.thread = threading.Thread(target=self._live_and_tell, name=fate.run_id, daemon=True)
        self._joblist = joblist
        self._fate = fate
        self._answers = answers
        self._session = requests.Session()
        self._gives_up = threading.Event()

    def _live_and_tell(self) -> None:
        try:
            time.sleep(self._fate.begins)
            self._live()
        except Exception as error:  # noqa: BLE001 - it is a finding, like any other
            self.story.faults.append(f"the client of {self._fate.run_id}: {error!r}")
        finally:
            self._session.close()

    def give_up(self) -> None:
        """Look no more at a job that is not over."""
        self._gives_up.set()

    def _live(self) -> None:
        fate, story = self._fate, self.story
        story.url = self._create()
        if fate.run_after:
            time.sleep(fate.run_after)
            self._run()
        if fate.abort_after is not None:
            time.sleep(fate.abort_after)
            self._abort()
        if fate.delete_after is not None:
            time.sleep(fate.delete_after)
            self._delete()
            return
        while not FINAL.intersection(story.phases[-1:]) and not self._gives_up.is_set():
            self._look(_WAIT)
            time.sleep(_PAUSE)  # a WAIT does not block in every phase
            if not fate.runs:
                return

    def _create(self) -> str:
        """Make the job. Before it is tried again, the list is asked whether it is there."""
        fate = self._fate
        form = {"RUNID": fate.run_id, "TEXT": fate.text}
        form |= {"SECONDS": f"{fate.seconds}", "EXIT": f"{fate.code}"}
        if fate.duration is not None:
            form["EXECUTIONDURATION"] = f"{fate.duration}"
        self.story.ran = fate.runs and not fate.run_after
        if self.story.ran:
            form["PHASE"] = "RUN"
        while (answer := self._send(form)) is None:
            self.story.lost_posts += 1
            if made := self._made_before():
                self.story.was_found = True
                return made
        assert answer.status_code == 303, f"{answer.status_code} {answer.text}"
        return answer.headers["Location"]

    def _send(self, form: Mapping[str, str]) -> requests.Response | None:
        if not self._fate.hangs_up or self.story.lost_posts:
            return self._ask("POST", self._joblist, form)
        where = urlsplit(self._joblist)
        with suppress(OSError), closing(HTTPConnection(where.netloc, timeout=_TIMEOUT)) as line:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            line.request("POST", where.path, urlencode(form), kind)
        return None

    def _made_before(self) -> str:
        answer = self._insist("GET", self._joblist)
        for ref in etree.fromstring(answer.content):
            if ref.findtext(f"{{{UWS}}}runId") == self._fate.run_id:
                return f"{self._joblist}/{ref.get('id')}"
        return ""

    def _run(self) -> None:
        """Run the job; a refusal after a lost answer means that it runs already."""
        for attempt in count():
            answer = self._ask("POST", f"{self.story.url}/phase", {"PHASE": "RUN"})
            if answer is not None:
                is_fine = answer.status_code == 303 or (attempt and answer.status_code == 403)
                assert is_fine, f"RUN: {answer.status_code} {answer.text}"
                self.story.ran = True
                return

    def _abort(self) -> None:
        """Abort the job; a refusal means that it is over already."""
        answer = self._insist("POST", f"{self.story.url}/phase", {"PHASE": "ABORT"})
        assert answer.status_code in {303, 403}, f"ABORT: {answer.status_code} {answer.text}"
        self.story.aborted = answer.status_code == 303
        self._look(0)
        assert self.story.phases[-1] in FINAL, f"{self.story.phases[-1]} after ABORT"

    def _delete(self) -> None:
        for attempt in count():
            answer = self._ask("DELETE", self.story.url)
            if answer is not None:
                is_fine = answer.status_code == 303 or (attempt and answer.status_code == 404)
                assert is_fine, f"DELETE: {answer.status_code} {answer.text}"
                self.story.deleted = True
                return

    def _look(self, wait: int) -> None:
        answer = self._insist("GET", f"{self.story.url}?WAIT={wait}")
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        self.story.saw(etree.fromstring(answer.content).findtext(f"{{{UWS}}}phase") or "")

    def _insist(
        self, method: str, url: str, form: Mapping[str, str] | None = None
    ) -> requests.Response:
        while (answer := self._ask(method, url, form)) is None:
            pass
        return answer

    def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None = None
    ) -> requests.Response | None:
        """Return the answer, or after a pause None when nobody knows what came of it."""
        try:
            answer = self._session.request(
                method, url, data=form, allow_redirects=False, timeout=_TIMEOUT
            )
        except requests.Timeout:
            self._answers["timeout"] += 1
        except requests.RequestException:
            self._answers["none"] += 1
        else:
            self._answers[str(answer.status_code)] += 1
            if answer.status_code < 500:
                return answer
        time.sleep(_PAUSE)
        return None
