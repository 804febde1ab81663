"""The registry's records: what changes when, and that a harvester misses nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom

import pytest

from uwsd.database import Database
from uwsd.registry.store import Draft, Published, RecordStore, Selection

RI = "http://www.ivoa.net/xml/RegistryInterface/v1.0"
START = datetime(2026, 11, 25, 12, 0, 0, 900_000, UTC)
ALL = Selection()


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database: Database, clock: Clock) -> RecordStore:
    return RecordStore(database, clock)


def draft(name: str, text: str = "") -> Draft:
    document = f'<ri:Resource xmlns:ri="{RI}" status="active"><title>{text}</title></ri:Resource>'
    return Draft(identifier=f"ivo://org.example/{name}", document=document.encode())


def everything(store: RecordStore, chosen: Selection = ALL) -> list[Published]:
    with store.reading() as reading:
        return reading.page(chosen, after=0, size=1000)


def test_only_what_has_changed_gets_a_new_datestamp(store: RecordStore, clock: Clock) -> None:
    assert store.publish([draft("a"), draft("b")]) == 2
    clock.now += timedelta(seconds=10)
    assert store.publish([draft("a"), draft("b", "new")]) == 1
    a, b = everything(store)
    assert (a.identifier, a.datestamp) == ("ivo://org.example/a", START.replace(microsecond=0))
    assert b.datestamp == a.datestamp + timedelta(seconds=10)
    assert b.document is not None
    assert b'created="2026-11-25T12:00:00Z" updated="2026-11-25T12:00:10Z"' in b.document


def test_what_is_gone_is_remembered_and_may_come_back(store: RecordStore, clock: Clock) -> None:
    store.publish([draft("a"), draft("b")])
    clock.now += timedelta(seconds=1)
    assert store.publish([draft("b")]) == 1
    assert store.publish([draft("b")]) == 0
    with store.reading() as reading:
        gone = reading.get("ivo://org.example/a")
        assert gone is not None
        assert gone.document is None
        assert gone.datestamp == reading.at
        assert reading.get("ivo://org.example/c") is None
    assert store.publish([draft("a"), draft("b")]) == 1
    assert [r.document is None for r in everything(store)] == [False, False]


def test_dates_of_an_admins_own_document_are_left_alone(store: RecordStore) -> None:
    own = draft("a").document.replace(b"status", b'created="2020-01-01T00:00:00Z" status')
    store.publish([Draft(identifier="ivo://org.example/a", document=own)])
    (record,) = everything(store)
    assert record.document is not None
    assert b'created="2020-01-01T00:00:00Z"' in record.document


def test_a_clock_set_back_does_not_take_datestamps_back(store: RecordStore, clock: Clock) -> None:
    store.publish([draft("a")])
    clock.now -= timedelta(hours=1)
    store.publish([draft("a", "new")])
    with store.reading() as reading:
        assert reading.at == START.replace(microsecond=0) == reading.earliest()


def test_both_ends_of_a_selection_are_included(store: RecordStore, clock: Clock) -> None:
    for name in "abc":
        drafts = [draft(n) for n in "abc" if n <= name]
        store.publish(drafts)
        clock.now += timedelta(seconds=1)
    first = START.replace(microsecond=0)
    chosen = Selection(since=first, until=first + timedelta(seconds=1))
    assert [r.identifier[-1] for r in everything(store, chosen)] == ["a", "b"]
    with store.reading() as reading:
        assert reading.count(chosen) == 2
        assert reading.count(Selection()) == 3


def test_a_record_that_changes_between_two_pages_comes_again(store: RecordStore) -> None:
    store.publish([draft(n) for n in "abcd"])
    with store.reading() as reading:
        first = reading.page(Selection(), after=0, size=2)
    store.publish([draft("a", "new"), draft("c"), draft("d")])
    with store.reading() as reading:
        rest = reading.page(Selection(), after=first[-1].number, size=10)
    assert [r.identifier[-1] for r in first + rest] == ["a", "b", "c", "d", "a", "b"]
    assert rest[-1].document is None


@pytest.fixture
def dice() -> Random:
    seed = SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return Random(seed)


def test_harvests_beside_edits_end_with_what_the_store_has(
    database: Database, dice: Random
) -> None:
    """The true clock, several writers and a harvester that comes again and again."""
    store = RecordStore(database)
    texts = [
        [draft(f"r{n}", str(dice.random())) for n in range(8) if dice.random() < 0.7]
        for _ in range(40)
    ]
    copy: dict[str, bytes | None] = {}

    def visit(since: datetime | None) -> datetime:
        with store.reading() as reading:
            for record in reading.page(Selection(since=since), after=0, size=100):
                copy[record.identifier] = record.document
            return reading.at

    with ThreadPoolExecutor(2) as pool:
        edits = [pool.submit(store.publish, drafts) for drafts in texts]
        since = None
        while not all(edit.done() for edit in edits):
            since = visit(since)
        [edit.result() for edit in edits]
    visit(since)
    assert copy == {r.identifier: r.document for r in everything(store)}
