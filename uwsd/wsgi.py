"""What gunicorn imports. Monkey-patching comes first: later it would be too late for some."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402

from uwsd.app import create_app  # noqa: E402
from uwsd.config import load  # noqa: E402

app = create_app(load(None, os.environ))
