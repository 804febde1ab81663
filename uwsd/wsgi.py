"""What gunicorn imports. Monkey-patching comes first: later it would be too late for some."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
from collections.abc import Callable  # noqa: E402

from gevent import get_hub  # noqa: E402

from uwsd.app import create_app  # noqa: E402
from uwsd.config import load  # noqa: E402


def _in_a_thread(work: Callable[[], object]) -> None:
    """Have a real thread wait for the disk, and one greenlet for that."""
    get_hub().threadpool.apply(work)


app = create_app(load(None, os.environ), aside=_in_a_thread)
