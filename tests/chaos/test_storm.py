"""No kill of any process loses a job, runs one twice, or leaves one stuck: `make chaos`."""

import json
import os
import random
from pathlib import Path

import pytest

from tests.chaos.engines import ENGINES, Engine, ThisMachine
from tests.chaos.run import HEADER, Extent, rage
from tests.chaos.site import site

_ASKED = json.loads(os.environ.get("UWSD_CHAOS", "{}"))
"""What `python -m tests.chaos` was asked for."""
_SECONDS = float(_ASKED.get("seconds", 0))


@pytest.fixture
def this_machine() -> ThisMachine:
    return ThisMachine()


# The library of Docker leaves a socket to the garbage collector when nobody listens there.
@pytest.mark.filterwarnings("ignore:unclosed <socket.*family=1,:ResourceWarning")
@pytest.mark.timeout(600 + _SECONDS)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_a_storm_loses_no_job_and_runs_none_twice(
    engine: Engine, database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    extent = Extent(**{"seed": random.randrange(2**32), "jobs": 40, "seconds": 20, **_ASKED})
    print(f"\n{extent} in {tmp_path}")
    running = engine.start(request)
    on_postgresql = database == "postgresql"
    with site(tmp_path / "site", running.options, on_postgresql=on_postgresql) as there:
        outcome = rage(there, engine, running, extent)
    print(f"answers: {dict(outcome.answers)}")
    print(f"{HEADER}\n{outcome.row(f'{engine.name}, {database}')}")
    assert not outcome.figures.faults, "\n".join(outcome.figures.faults)
