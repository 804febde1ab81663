"""What a site remembers of itself."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

from uwsd.database import Database
from uwsd.state import State


def test_a_fact_is_there_until_it_is_replaced_or_removed(database: Database) -> None:
    state = State(database)
    assert state.get("drain") is None
    state.put("drain", {"note": "ä <b>"})
    state.put("drain", {"note": "later"})
    assert State(database).get("drain") == {"note": "later"}
    state.remove("drain")
    state.remove("drain")
    assert state.get("drain") is None


def test_many_at_once_agree_on_what_is_made_once(database: Database) -> None:
    numbers = count()
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda _: State(database).once("key", lambda: next(numbers)), range(32))
        )
    assert len(set(made)) == 1
    assert next(numbers) == 1
