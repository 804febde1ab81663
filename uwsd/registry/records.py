"""The records of this site, made from what is running and from what its administrator says.

Nothing is written twice: a service's title, description and subjects come from its declaration,
its capabilities from the model that its VOSI endpoint shows; `site` overrides them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from uwsd import __version__
from uwsd.capabilities.base import Capability
from uwsd.registry import documents
from uwsd.registry.documents import Name, Person, Resource, Rights
from uwsd.registry.site import Described, ServiceRecord, SiteFile
from uwsd.registry.store import Draft

REGISTRY = "registry"
PLATFORM = "platform"
ORGANISATION = "organisation"
STANDARD = "std/execute-this"

_SUBJECT = "virtual-observatories"
_KEYS = {
    "rest-1.0": "A UWS 1.1 job list that takes a task, answers with offers of resources, and runs "
    "the one that was chosen."
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is running, as VOSI shows it: the capabilities of the platform and of each service."""

    services: Mapping[str, Capability]
    url: str  #: under which clients reach the site
    platform: Iterable[Any]  #: ``capability`` elements
    registry: Iterable[Any]
    service: Mapping[str, Iterable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Makes the drafts of all records."""

    site: SiteFile
    offer: Offer
    page_size: int

    def drafts(self) -> Iterator[Draft]:
        """Yield a draft a record; the registry's own comes first."""
        yield self._draft(REGISTRY, self._registry())
        yield self._draft("", self._authority())
        yield self._draft(ORGANISATION, self._organisation())
        yield self._draft(STANDARD, self._standard())
        yield self._draft(PLATFORM, self._platform())
        for name, service in self.offer.services.items():
            said = self.site.services.get(name, ServiceRecord())
            if said.publish:
                yield self._draft(name, self._service(name, service, said))

    def _draft(self, path: str, document: bytes) -> Draft:
        return Draft(identifier=self._id(path), document=document)

    def _registry(self) -> bytes:
        resource = self._resource(
            "vg:Registry",
            REGISTRY,
            title=f"Registry of {self.site.authority.title}",
            description="Tells the Virtual Observatory what this site offers.",
            content_type="Registry",
        )
        return documents.registry(
            resource,
            url=f"{self.offer.url}/oai",
            page_size=self.page_size,
            authority=self.site.authority.id,
            capabilities=self.offer.registry,
        )

    def _authority(self) -> bytes:
        authority = self.site.authority
        resource = self._resource(
            "vg:Authority",
            "",
            title=authority.title,
            description=authority.description,
            content_type="Registry",
        )
        return documents.authority(resource, self._organisation_name())

    def _organisation(self) -> bytes:
        organisation = self.site.organisation
        resource = self._resource(
            "vr:Organisation",
            ORGANISATION,
            title=organisation.title,
            description=organisation.description,
            reference_url=organisation.reference_url,
            content_type="Organisation",
        )
        return documents.organisation(resource)

    def _standard(self) -> bytes:
        resource = self._resource(
            "vstd:Standard",
            STANDARD,
            title="executeThis",
            description="A job list to which a client sends a task, and which says whether it can "
            "run it, when, and at what cost, before it does.",
            content_type="Other",
        )
        return documents.standard(resource, _KEYS)

    def _platform(self) -> bytes:
        said = self.site.platform
        resource = self._described(
            PLATFORM,
            said,
            title=f"Compute platform of {self.site.organisation.title}",
            description="Runs the tasks of astronomers.",
            subjects=("distributed-computing",),
            reference_url=f"{self.offer.url}/",
        )
        return documents.service(resource, _rights(said), self.offer.platform)

    def _service(self, name: str, service: Capability, said: ServiceRecord) -> bytes:
        platform = Name(text=self._platform_title(), identifier=self._id(PLATFORM))
        resource = self._described(
            name,
            said,
            title=service.title,
            description=service.description or service.title,
            subjects=service.subjects or self.site.platform.subjects or ("distributed-computing",),
            reference_url=f"{self.offer.url}/{name}",
            relations={"IsPartOf": platform},
        )
        return documents.service(
            resource, _rights(said, self.site.platform), self.offer.service[name]
        )

    def _described(self, path: str, said: Described, **otherwise: Any) -> Resource:
        """Return a service's resource: what the administrator says, or else what is running."""
        told = {
            name: value
            for name in ("title", "description", "subjects", "reference_url", "short_name")
            if (value := getattr(said, name))
        }
        return self._resource(
            "vr:Service",
            path,
            content_type="Transformation",
            version=__version__,
            creators=said.creators or (self.site.organisation.title,),
            **otherwise | told,
        )

    def _resource(self, type_: str, path: str, **fields: Any) -> Resource:
        contact = self.site.contact
        usual = {
            "subjects": (_SUBJECT,),
            "reference_url": f"{self.offer.url}/",
            "creators": (self.site.organisation.title,),
        }
        return Resource(
            type=type_,
            identifier=self._id(path),
            publisher=self._organisation_name(),
            contact=Person(
                name=contact.name,
                email=contact.email,
                address=contact.address,
                telephone=contact.telephone,
            ),
            **usual | fields,
        )

    def _organisation_name(self) -> Name:
        return Name(text=self.site.organisation.title, identifier=self._id(ORGANISATION))

    def _platform_title(self) -> str:
        return self.site.platform.title or f"Compute platform of {self.site.organisation.title}"

    def _id(self, path: str) -> str:
        return self.site.identifier(*filter(None, (path,)))


def _rights(*said: Described) -> Rights:
    """Return the first terms of use that are given."""
    for each in said:
        if each.rights or each.rights_uri:
            return Rights(text=each.rights, uri=each.rights_uri)
    return Rights()
