"""What it means when Kubernetes does not answer as was hoped."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import urllib3
from kubernetes import client, config

from uwsd.backends.base import BackendError, TaskRefused, Unreachable

_LATER = ("exceeded quota", "is being terminated")
_OURS = ("cannot create resource",)
"""Words in a refusal to create a Job: it may be taken later; the server's account is at fault."""


@contextmanager
def translated() -> Iterator[None]:
    """Make one error of all that can go wrong between here and the API server."""
    try:
        yield
    except client.ApiException as error:
        if error.status == 0:  # the client's own word for TLS that failed
            raise Unreachable(f"Kubernetes does not answer: {error.reason}") from None
        raise
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unreachable(f"Kubernetes does not answer: {error}") from None
    except config.ConfigException as error:
        raise Unreachable(f"no way to Kubernetes is known: {error}") from None


def refusal(error: client.ApiException) -> BackendError:
    """Return what it means when a Job is not created."""
    message = said(error)
    if error.status in (400, 413, 422):
        return TaskRefused(message)
    if error.status == 403 and any(words in message for words in _LATER):
        return BackendError(message)
    if error.status == 403 and not any(words in message for words in _OURS):
        return TaskRefused(message)  # a policy of the cluster
    return Unreachable(message)


def said(error: client.ApiException) -> str:
    """Return the API's own message."""
    with suppress(ValueError, TypeError, KeyError):
        return f"Kubernetes: {json.loads(error.body or '')['message']}"
    return f"Kubernetes: {error.status} {error.reason}"
