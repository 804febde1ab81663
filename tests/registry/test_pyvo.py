"""pyvo finds the site in a searchable registry, and runs a job there."""

from collections.abc import Iterator

import pytest
import requests
from pyvo import registry

from tests.registry.conftest import Site
from tests.registry.regtap import Registry, serving
from tests.serving import finished

UWS = "ivo://ivoa.net/std/uws#rest-1.1"  # RegTAP keeps it in lower case


@pytest.fixture
def searchable(site: Site) -> Iterator[None]:
    """Have pyvo ask a registry that has harvested the site."""
    tables = Registry()
    tables.harvest(f"{site.url}/oai")
    usual = registry.regtap.get_RegTAP_service_url()
    with serving(tables) as url:
        registry.choose_RegTAP_service(url)
        yield
        registry.choose_RegTAP_service(usual)


@pytest.mark.usefixtures("searchable")
def test_a_job_list_is_found_by_its_standard_and_runs_a_job(site: Site) -> None:
    found = {resource.ivoid: resource for resource in registry.search(servicetype=UWS)}
    keys = ("demo", "platform", "sed")
    assert sorted(found) == [f"ivo://org.example.uwsd/{key}" for key in keys]
    demo = found["ivo://org.example.uwsd/demo"]
    assert demo.res_title == "Demonstration"
    assert demo.res_type == "vr:service"
    way = demo.get_interface(service_type=UWS, std_only=True)
    assert way.access_url == f"{site.url}/demo/async"
    job = requests.post(way.access_url, {"TEXT": "found", "PHASE": "RUN"}, timeout=60)
    assert finished(job.url) == "COMPLETED"
    assert requests.get(f"{job.url}/results/result", timeout=60).text == "found"


@pytest.mark.usefixtures("searchable")
def test_the_platform_names_every_job_list_and_whom_to_ask(site: Site) -> None:
    (platform,) = registry.search(ivoid="ivo://org.example.uwsd/platform")
    lists = {way.access_url for way in platform.interfaces if way.supports(UWS)}
    assert lists == {f"{site.url}/{name}/async" for name in ("demo", "checksum", "sed")}
    assert platform.get_interface(service_type="web").access_url == f"{site.url}/"
    assert "operators@example.org" in platform.get_contact()
