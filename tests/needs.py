"""What the tests need beside Python packages: a laptop may lack it, CI may not."""

import os
import shutil
from typing import NoReturn

import pytest


def need(tool: str, install: str) -> str:
    """Return where a program is; skip, or in CI fail, without it."""
    return shutil.which(tool) or lack(f"{tool} is not installed; {install}")


def lack(reason: str) -> NoReturn:
    """Skip on a laptop; fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
