"""The few questions that are asked of Kubernetes, and what it means when the answer is none.

Bodies and answers are plain JSON: to make thousands of objects of the client's models would cost
more than everything else together.
"""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from uwsd.backends.base import Unreachable
from uwsd.backends.kubernetes.errors import refusal, said, translated
from uwsd.backends.kubernetes.names import Json
from uwsd.backends.kubernetes.options import Options

_TIMEOUT = (5.0, 30.0)  #: seconds to connect, and without a byte
_PAGE = 500
_MOST_WARNINGS = 2000
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_log = logging.getLogger(__name__)


class Exists(Exception):
    """There is an object of that name already."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of one kind at one moment."""

    items: list[Json]
    version: str  #: to go on from with a watch


class Stream:
    """The changes after a listing, as they come; it ends by itself, or when it is closed."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __iter__(self) -> Iterator[Json]:
        with translated():
            for line in self._response:
                yield json.loads(line)

    def close(self) -> None:
        """End it, also while another thread waits for a change."""
        connection = getattr(self._response, "connection", None)
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give the connection up, once nobody reads any more."""
        self._response.close()


class Api:
    """One namespace of one cluster. Raises `Unreachable` when nobody answers for it."""

    def __init__(self, options: Options, selector: str) -> None:
        self._options = options
        self._selector = selector
        self._connected: client.ApiClient | None = None
        self._namespace = options.namespace

    @property
    def namespace(self) -> str:
        """The namespace of the jobs."""
        self._client()
        return self._namespace

    def create_job(self, body: Json) -> Json:
        """Create a Job. Raises `Exists`, `TaskRefused` or `BackendError`."""
        try:
            return self._ask(self._batch().create_namespaced_job, self.namespace, body)
        except client.ApiException as error:
            if error.status == 409:
                raise Exists from None
            raise refusal(error) from None

    def job(self, name: str) -> Json | None:
        """Return a Job as it is now, or None if there is none."""
        return self._unless_gone(self._batch().read_namespaced_job, name, self.namespace)

    def patch_job(self, job: Json, patch: Json) -> Json | None:
        """Change a Job, if it is still the same; return what it is now."""
        uid = {"uid": job["metadata"]["uid"]}
        body = {**patch, "metadata": {**patch.get("metadata", {}), **uid}}
        name = job["metadata"]["name"]
        return self._unless_gone(
            self._batch().patch_namespaced_job, name, self.namespace, body, gone=(404, 409)
        )

    def delete_job(self, job: Json, policy: str) -> None:
        """Delete a Job, if it is still the same."""
        body = {
            "propagationPolicy": policy,
            "preconditions": {"uid": job["metadata"]["uid"]},
        }
        name = job["metadata"]["name"]
        # In the body: it wins over the query, and without a policy pods are left to run.
        self._unless_gone(
            self._batch().delete_namespaced_job, name, self.namespace, body=body, gone=(404, 409)
        )

    def delete_pod(self, pod: Json, grace: int) -> None:
        """Delete a pod; ``grace`` is in seconds."""
        metadata = pod["metadata"]
        body = {"gracePeriodSeconds": grace, "preconditions": {"uid": metadata["uid"]}}
        self._unless_gone(
            self._core().delete_namespaced_pod,
            metadata["name"],
            self.namespace,
            body=body,
            gone=(404, 409),
        )

    def put_secret(self, body: Json) -> None:
        """Create a Secret, or give the one of that name this content."""
        core = self._core()
        try:
            self._ask(core.create_namespaced_secret, self.namespace, body)
        except client.ApiException as error:
            if error.status != 409:
                raise Unreachable(said(error)) from None
            name, content = body["metadata"]["name"], {"stringData": body["stringData"]}
            self._asked(core.patch_namespaced_secret, name, self.namespace, content)

    def jobs(self) -> Listing:
        """Return all our Jobs."""
        return self._list(self._batch().list_namespaced_job, label_selector=self._selector)

    def pods(self, selector: str = "") -> Listing:
        """Return all our pods, or only some of them."""
        chosen = ",".join(filter(None, (self._selector, selector)))
        return self._list(self._core().list_namespaced_pod, label_selector=chosen)

    def warnings(self) -> list[Json]:
        """Return what went wrong in the namespace of late, as events."""
        return self._list(
            self._core().list_namespaced_event, most=_MOST_WARNINGS, field_selector="type=Warning"
        ).items

    def watch_jobs(self, version: str, seconds: int) -> Stream:
        """Follow the changes of Jobs after a listing, for a while."""
        return self._watch(self._batch().list_namespaced_job, version, seconds)

    def watch_pods(self, version: str, seconds: int) -> Stream:
        """Follow the changes of pods after a listing, for a while."""
        return self._watch(self._core().list_namespaced_pod, version, seconds)

    def may(self, verb: str, group: str, resource: str) -> bool:
        """Whether the server's account is allowed to do something to the namespace's objects."""
        attributes = {
            "namespace": self.namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
        }
        review = client.AuthorizationV1Api(self._client()).create_self_subject_access_review
        answer = self._asked(review, {"spec": {"resourceAttributes": attributes}})
        return bool(answer["status"]["allowed"])

    def claim(self, name: str) -> Json | None:
        """Return a PersistentVolumeClaim, or None if there is none."""
        core = self._core()
        return self._unless_gone(core.read_namespaced_persistent_volume_claim, name, self.namespace)

    def close(self) -> None:
        """Close the connections."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _client(self) -> client.ApiClient:
        if self._connected is None:
            with translated():
                self._connected = self._connect()
        return self._connected

    def _connect(self) -> client.ApiClient:
        settings = client.Configuration()
        given = self._options.kubeconfig
        if given is None and (_SERVICE_ACCOUNT / "token").exists():
            config.load_incluster_config(client_configuration=settings)
            inherited = (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
        else:
            file, context = given and str(given), self._options.context or None
            config.load_kube_config(file, context=context, client_configuration=settings)
            contexts, current = config.list_kube_config_contexts(file)
            chosen = next((c for c in contexts if c["name"] == context), current)
            inherited = chosen["context"].get("namespace", "default")
        self._namespace = self._options.namespace or inherited
        settings.retries = False  # what is to be tried again is decided elsewhere
        settings.keep_alive = True
        return client.ApiClient(settings)

    def _batch(self) -> client.BatchV1Api:
        return client.BatchV1Api(self._client())

    def _core(self) -> client.CoreV1Api:
        return client.CoreV1Api(self._client())

    def _asked(self, question: Callable[..., Any], *given: object, **more: object) -> Json:
        """Ask, and take every refusal for silence."""
        try:
            return self._ask(question, *given, **more)
        except client.ApiException as error:
            raise Unreachable(said(error)) from None

    def _ask(self, question: Callable[..., Any], *given: object, **more: object) -> Json:
        """Return the answer as JSON, or raise ApiException."""
        try:
            with translated():
                response = question(
                    *given, **more, _preload_content=False, _request_timeout=_TIMEOUT
                )
                answer: Json = json.loads(response.data)
        except client.ApiException as error:
            if error.status == 401:
                self.close()  # the credentials may have been renewed meanwhile: read them again
            raise
        return answer

    def _unless_gone(
        self,
        question: Callable[..., Any],
        *given: object,
        gone: tuple[int, ...] = (404,),
        **more: object,
    ) -> Json | None:
        try:
            return self._ask(question, *given, **more)
        except client.ApiException as error:
            if error.status in gone:
                return None
            raise Unreachable(said(error)) from None

    def _list(
        self, question: Callable[..., Any], most: int | None = None, **chosen: object
    ) -> Listing:
        items: list[Json] = []
        page: dict[str, object] = {"limit": _PAGE}
        while True:
            answer = self._asked(question, self.namespace, **chosen, **page)
            items += answer["items"]
            metadata = answer["metadata"]
            page["_continue"] = metadata.get("continue")
            if not page["_continue"] or (most is not None and len(items) >= most):
                return Listing(items, metadata["resourceVersion"])

    def _watch(self, question: Callable[..., Any], version: str, seconds: int) -> Stream:
        try:
            with translated():
                return Stream(
                    question(
                        self.namespace,
                        label_selector=self._selector,
                        watch=True,
                        resource_version=version,
                        allow_watch_bookmarks=True,
                        timeout_seconds=seconds,
                        _preload_content=False,
                        # The server ends it before; this is for a connection that is dead.
                        _request_timeout=(_TIMEOUT[0], seconds + 15.0),
                    )
                )
        except client.ApiException as error:
            raise Unreachable(said(error)) from None
