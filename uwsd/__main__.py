"""``python -m uwsd``: the same as the ``uwsd`` command."""

from uwsd.cli import main

main()
