"""The Jobs of one server: those that its mirror shows, and what is asked and changed one by one."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path

from uwsd.backends.base import BackendError
from uwsd.backends.kubernetes.api import Api, Exists
from uwsd.backends.kubernetes.endings import Ending
from uwsd.backends.kubernetes.manifest import selector
from uwsd.backends.kubernetes.mirror import Mirror
from uwsd.backends.kubernetes.names import ENDING, INSTANCE, Json
from uwsd.backends.kubernetes.objects import is_of
from uwsd.backends.kubernetes.options import Options
from uwsd.backends.names import instance, key


class Cluster:
    """Whatever is ours in it. Raises `Unreachable` when nobody answers."""

    def __init__(self, root: Path, options: Options) -> None:
        self.instance = instance(root)
        self.name: Callable[[str], str] = lru_cache(1 << 16)(partial(key, root))
        self.api = Api(options, selector(self.instance))
        self.mirror = Mirror(self.api)

    def job(self, name: str) -> Json | None:
        """Return a Job of ours, if need be by asking for it."""
        return self.mirror.job(name) or self.job_now(name)

    def job_now(self, name: str) -> Json | None:
        """Ask for a Job of ours."""
        job = self.api.job(name)
        if job is None or job["metadata"].get("labels", {}).get(INSTANCE) != self.instance:
            return None
        self.mirror.put(job)
        return job

    def pods(self, job: Json) -> list[Json]:
        """Return the pods of a Job that the mirror shows."""
        return [pod for pod in self.mirror.pods(job["metadata"]["name"]) if is_of(pod, job)]

    def pods_now(self, name: str) -> list[Json]:
        """Ask for the pods of all Jobs that have had this name."""
        return self.api.pods(f"job-name={name}").items

    def create(self, body: Json) -> Json:
        """Create a Job, unless somebody was quicker; return it."""
        try:
            job: Json | None = self.api.create_job(body)
        except Exists:
            job = self.job_now(body["metadata"]["name"])
        if job is None:
            raise BackendError(f"there is a Job {body['metadata']['name']} of somebody else")
        self.mirror.put(job)
        return job

    def patch(
        self,
        job: Json,
        annotations: Mapping[str, str | None],
        labels: Mapping[str, str] | None = None,
        **spec: object,
    ) -> None:
        """Change a Job, if it is still the same; None removes an annotation."""
        metadata = {"annotations": dict(annotations), "labels": dict(labels or {})}
        changed = self.api.patch_job(job, {"metadata": metadata, "spec": spec})
        if changed is not None:
            self.mirror.put(changed)

    def end(self, job: Json, ending: Ending) -> None:
        """Have Kubernetes end a Job as one that is late; why is noted with the same breath."""
        self.patch(job, {ENDING: ending.dump()}, activeDeadlineSeconds=0)

    def close(self) -> None:
        """End the watches and the connections."""
        self.mirror.close()
        self.api.close()
