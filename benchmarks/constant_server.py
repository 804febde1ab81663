"""gunicorn's configuration for `constant`: uwsd's own, but for what is about WAITs."""

from uwsd.webserver import *  # noqa: F403 - every name is a setting
from uwsd.webserver import collect_seldom


def post_worker_init(_worker: object) -> None:  # type: ignore[no-redef]
    collect_seldom()
