"""What the publisher does when something is in its way."""

from pathlib import Path

import pytest

from tests.registry.conftest import SITE
from uwsd.database import Database, DatabaseBusy
from uwsd.registry.publisher import Publisher
from uwsd.registry.records import Offer
from uwsd.registry.store import Draft, RecordStore


def test_what_the_database_refused_is_tried_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    store = RecordStore(database)
    nothing = Offer(services={}, url="http://127.0.0.1", platform=(), registry=(), service={})
    publisher = Publisher(tmp_path, store, lambda: nothing, page_size=10, changed=lambda: 0.0)

    def refuse(_drafts: list[Draft]) -> int:
        raise DatabaseBusy

    with monkeypatch.context() as patch:
        patch.setattr(store, "publish", refuse)
        with pytest.raises(DatabaseBusy):
            publisher.refresh()
    publisher.refresh()
    with store.reading() as reading:
        own = reading.called("registry")
        assert own is not None
        assert own.identifier == "ivo://org.example.uwsd/registry"
        assert reading.called("nothing") is None
