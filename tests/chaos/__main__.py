"""The long storms: ``make chaos``, or ``python -m tests.chaos slurm --seed 5 --minutes 5``."""

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from tests.chaos.engines import ENGINES


@click.command()
@click.argument("engines", nargs=-1, type=click.Choice([engine.name for engine in ENGINES]))
@click.option("--seed", type=int, help="What decides on kills and jobs; by default a new one.")
@click.option("--jobs", default=200, help="How many jobs clients make.", show_default=True)
@click.option("--minutes", default=3.0, help="How long the storm lasts.", show_default=True)
@click.option("--every", default=2.0, help="Seconds between two kills.", show_default=True)
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), help="Only on this.")
def main(
    engines: tuple[str, ...], seed: int | None, minutes: float, database: str | None, **more: Any
) -> None:
    """Let a storm loose on the ENGINES that are named, or on all, and print the accounts."""
    seed = random.randrange(2**32) if seed is None else seed
    os.environ["UWSD_CHAOS"] = json.dumps({"seed": seed, "seconds": 60 * minutes, **more})
    chosen = " or ".join(engines or (engine.name for engine in ENGINES))
    storms = f"({chosen})" + (f" and {database}" if database else "")
    sys.exit(pytest.main(["-s", "-k", storms, str(Path(__file__).with_name("test_storm.py"))]))


if __name__ == "__main__":
    main()
