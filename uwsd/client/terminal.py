"""What is shown to people: never a control character of the server's making."""

import codecs
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TextIO
from unicodedata import category

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from uwsd.client.documents import ListedJob, RemoteJob


def printable(text: str, *, keep: str = "") -> str:
    """Write out what a terminal would obey, or not show: controls, direction marks."""
    return "".join(
        one if one in keep or category(one)[0] != "C" else one.encode("unicode_escape").decode()
        for one in text
    )


def tell(text: str) -> None:
    """Say something to the user, on stderr."""
    click.echo(printable(text), err=True)


def outlet(stream: TextIO) -> Callable[[bytes], None]:
    """Return a function that writes bytes to ``stream``: as they are, but to a terminal escaped."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(data: bytes) -> None:
        if stream.isatty():
            # A progress bar that returns to the start of its line gets lines of its own.
            text = re.sub(r"\r\n?", "\n", decoder.decode(data))
            stream.write(printable(text, keep="\n\t"))
        else:
            stream.buffer.write(data)
        stream.flush()

    return write


@contextmanager
def watching() -> Iterator[Callable[[RemoteJob], None]]:
    """Show a job while it is waited for: one live line on a terminal, else a line a change."""
    if not sys.stderr.isatty():
        yield lambda job: tell(job.summary)
        return
    columns = SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        line = progress.add_task("", total=None)
        yield lambda job: progress.update(line, description=printable(job.summary))


def show_jobs(jobs: Sequence[ListedJob], *, as_json: bool) -> None:
    """Print a job list: JSON, a table on a terminal, else a line of tab-separated fields each."""
    rows = [
        [printable(field or "") for field in (job.phase, job.created, job.run_id, job.url)]
        for job in jobs
    ]
    if as_json:
        click.echo(json.dumps([asdict(job) for job in jobs], indent=1))
    elif sys.stdout.isatty():
        table = Table("phase", "created", "run id", "job")
        table.columns[-1].overflow = "fold"
        for row in rows:
            table.add_row(*map(Text, row))
        Console().print(table)
    else:
        for row in rows:
            click.echo("\t".join(row))
