"""Seeing to many jobs, one after the other, whatever goes wrong with one of them."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from uwsd.backends.base import BackendError, Unreachable
from uwsd.database import DATABASE_FAULTS
from uwsd.uws.errors import UwsError

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


def each(items: Iterable[_T], step: Callable[[_T], None]) -> None:
    """Take a step for each item: one that cannot be seen to must not keep the others from it.

    Without the database there is no use in going on: one of `DATABASE_FAULTS` is raised.
    """
    for item in items:
        try:
            step(item)
        except UwsError as error:
            _log.info("%s: overtaken: %s", item, error)
        except Unreachable as error:  # the engine's silence is logged once, not for each job
            _log.debug("%s: %s; will try again", item, error)
        except BackendError as error:
            _log.warning("%s: %s; will try again", item, error)
        except DATABASE_FAULTS:
            raise
        except Exception:  # noqa: BLE001 - it is logged, and the others go on
            _log.exception("%s: will try again", item)
