"""The registry's records, made from the same settings as everything else."""

from uwsd.registry.publisher import Publisher
from uwsd.registry.records import Offer
from uwsd.registry.store import RecordStore
from uwsd.rights import anonymous_rights, authentication
from uwsd.site import Site
from uwsd.vosi.documents import capability_elements
from uwsd.vosi.offered import Offered, logins


def publisher(site: Site) -> Publisher:
    """Return what publishes the records of a site."""
    settings = site.settings
    ways = authentication(settings)

    def offer() -> Offer:
        methods = ways.security_methods()
        offered = Offered(
            url=settings.public_url,
            services=site.capabilities,
            logins={
                n: logins(methods, r.may_create) for n, r in anonymous_rights(settings).items()
            },
        )
        return Offer(
            services=offered.services,
            url=offered.url,
            platform=capability_elements(offered.platform()),
            registry=capability_elements(offered.registry()),
            service={n: capability_elements(offered.service(n)) for n in offered.services},
        )

    return Publisher(
        settings.registry_folder,
        RecordStore(site.database),
        offer,
        page_size=settings.registry.page_size,
        changed=ways.changed,
    )
