"""What was asked for, what was measured, and whether that is enough."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_WIDTHS = (52, 11, 44)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; one without a ``target`` is for information."""

    what: str
    target: str = ""
    measured: str
    ok: bool | None = None


def at_least(what: str, target: float, value: float, more: str = "") -> Row:
    """Return the row of something of which there should be much."""
    measured = f"{value:.2f} {more}".strip()
    return Row(what=what, target=f">= {target:g}", measured=measured, ok=value >= target)


def at_most(what: str, target: float, value: float, unit: str = "", more: str = "") -> Row:
    """Return the row of something of which there should be little."""
    measured = f"{value:.3g} {unit} {more}".strip()
    wanted = f"<= {target:g} {unit}".strip()
    return Row(what=what, target=wanted, measured=measured, ok=value <= target)


def show(rows: Iterable[Row]) -> Iterator[Row]:
    """Print the table in Markdown, line by line as the rows come; pass them on."""
    _print("what", "target", "measured", "")
    _print(*("-" * width for width in _WIDTHS), "------")
    for row in rows:
        verdict = {True: "ok", False: "MISSED", None: ""}[row.ok]
        _print(row.what, row.target, row.measured, verdict)
        yield row


def _print(*cells: str) -> None:
    padded = (cell.ljust(width) for cell, width in zip(cells, (*_WIDTHS, 6), strict=True))
    print(f"| {' | '.join(padded)} |", flush=True)
