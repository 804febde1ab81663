"""What the service `spectrum` calculates."""

import time
from pathlib import Path
from typing import Annotated


def spectrum(
    table: Annotated[Path | None, {"description": "A table of numbers"}] = None,
    *,
    scale: Annotated[float, {"range": (0, 100)}] = 1,
    label: str = "",
    seconds: float = 0,
    fail: bool = False,
) -> dict[str, object]:
    """Scale the numbers of a table."""
    time.sleep(seconds)
    if fail:
        raise ValueError("asked to fail")
    numbers = [] if table is None else table.read_text().split()
    Path("label.txt").write_text(label)
    return {"result": [scale * float(number) for number in numbers], "label": Path("label.txt")}
