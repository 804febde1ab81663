"""What the site offers, as VOSI and the registry's records tell it: the one model of both."""

from collections.abc import Mapping
from dataclasses import dataclass

from uwsd.capabilities.base import Capability
from uwsd.capabilities.parameters import RUN, RUNID
from uwsd.vosi.documents import Interface

Logins = tuple[str | None, ...]
"""The security methods that lead to a service, in the order to be told; None: without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The services of a site, and how one comes to them, under the site's ``url``."""

    url: str
    services: Mapping[str, Capability]
    logins: Mapping[str, Logins]  #: by service

    def platform(self) -> list[Interface]:
        """Return what the platform offers: the job list of every service here."""
        return [*self._vosi(""), *map(self._job_list, self.services), self._page("")]

    def service(self, name: str) -> list[Interface]:
        """Return what one service offers."""
        ways = [*self._vosi(f"/{name}"), self._job_list(name), self._sync(name)]
        if self.services[name].examples:
            ways.append(self._examples(name))
        return [*ways, self._page(f"/{name}")]

    def registry(self) -> list[Interface]:
        """Return what the registry offers beside being harvested (RI 1.1 section 5.1)."""
        return self._vosi("/registry")

    def _vosi(self, path: str) -> list[Interface]:
        # For everybody, and so without a security method (VOSI 1.1 section 2).
        return [
            Interface(
                standard_id=f"ivo://ivoa.net/std/VOSI#{name}",
                url=f"{self.url}{path}/{name}",
                use="full",
            )
            for name in ("capabilities", "availability")
        ]

    def _job_list(self, name: str) -> Interface:
        service = self.services[name]
        return Interface(
            standard_id=service.standard_id,
            url=f"{self.url}/{name}/async",
            use="base",
            description=service.description,
            logins=self.logins[name],
            method="POST",
            parameters=service.parameters,
            standard_parameters=(RUNID, RUN),
        )

    def _sync(self, name: str) -> Interface:
        """Describe DALI-sync, which has no standard id of its own (DALI 1.2 section 2.2)."""
        service = self.services[name]
        return Interface(
            url=f"{self.url}/{name}/sync",
            use="full",
            description=f"{service.title}: waits for the result, and sends it.",
            logins=self.logins[name],
            answer=None,
            parameters=service.parameters,
            standard_parameters=(RUNID,),
        )

    def _examples(self, name: str) -> Interface:
        return Interface(
            standard_id="ivo://ivoa.net/std/DALI#examples",
            url=f"{self.url}/{name}/examples",
            use="full",
            answer="application/xhtml+xml",
        )

    def _page(self, path: str) -> Interface:
        return Interface(
            type="vr:WebBrowser",
            url=f"{self.url}{path or '/'}",
            use="full",
            method=None,
            answer=None,
        )


def logins(methods: tuple[str, ...], is_open: bool) -> Logins:
    """Return how to come to a service: not logged in, if one may, and in each way there is."""
    # Of a proxy's own ways to log in nobody has told us; the URL is worth knowing all the same.
    return (None, *methods) if is_open or not methods else methods
