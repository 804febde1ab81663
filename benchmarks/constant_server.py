"""gunicorn's configuration for `constant`: uwsd's own, but for what is about WAITs."""

from uwsd.webserver import *  # noqa: F403 - every name is a setting


def post_worker_init(_worker: object) -> None:  # type: ignore[no-redef]
    webserver.collect_seldom()
