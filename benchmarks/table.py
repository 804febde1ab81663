"""What a benchmark has measured, beside what it was to reach."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure; it is good when it is on the right side of its ``target``."""

    what: str
    measured: float
    target: float
    unit: str = ""
    at_least: bool = False  #: whether more is better; else less is
    note: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether the figure is as it has to be."""
        return self.measured >= self.target if self.at_least else self.measured <= self.target


def show(rows: Iterable[Row]) -> bool:
    """Print the figures; return whether all are reached."""
    table = Table("what", "target", "measured", "", "")
    good = True
    for row in rows:
        good = good and row.is_reached
        table.add_row(
            row.what,
            f"{'≥' if row.at_least else '≤'} {_figure(row.target)} {row.unit}",
            f"{_figure(row.measured)} {row.unit}",
            "ok" if row.is_reached else "MISSED",
            row.note,
        )
    Console(width=140).print(table)
    return good


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
