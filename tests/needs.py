"""What the tests need beside Python packages: a laptop may lack it, CI may not."""

import os
import shutil
from typing import NoReturn

import pytest

has_patience = pytest.mark.skipif(
    not os.environ.get("UWSD_FAULTS"),
    reason="kills parts of a cluster, and waits for minutes until it is well again: UWSD_FAULTS=1",
)
"""For what is not run each time: a cluster takes its time to recover."""


def need(tool: str, install: str) -> str:
    """Return where a program is; skip, or in CI fail, without it."""
    return shutil.which(tool) or lack(f"{tool} is not installed; {install}")


def lack(reason: str) -> NoReturn:
    """Skip on a laptop; fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
