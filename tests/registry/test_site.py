"""``site.toml``: read, and refused with the line and the mend."""

from pathlib import Path

import pytest

from uwsd.config import ConfigError
from uwsd.config.options import options_of, tables
from uwsd.registry.site import SiteFile, load_site

OURS = (Path(__file__).parents[2] / "registry" / "site.toml").read_text()


def test_the_file_that_comes_with_uwsd_is_good(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(OURS)
    site = load_site(tmp_path)
    assert site is not None
    assert site.identifier("Platform") == "ivo://org.example.uwsd/platform"
    assert not site.services["checksum"].publish


def test_the_document_has_every_option() -> None:
    text = (Path(__file__).parents[2] / "docs" / "registry.md").read_text()
    told = text.partition("<!-- site options -->\n")[2].partition("\n<!-- end of site")[0]
    assert told == tables(options_of(SiteFile)), "put what `uwsd registry options` prints there"


def test_without_a_file_there_is_no_registry(tmp_path: Path) -> None:
    assert load_site(tmp_path) is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "org.example.uwsd"', 'id = "ab"', "site.toml:5: authority.id: an authority has"),
        ('id = "org.example.uwsd"', 'id = "Org.Example"', "an authority has three or more of a-z"),
        ('id = "org.example.uwsd"', 'id = "a/b c"', "an authority has"),
        ("operators@example.org", "operators@localhost", "name@host.domain"),
        ("operators@example.org", "", "name@host.domain"),
        ("https://www.example.org/", "www.example.org", "an http or https URL"),
        ("https://www.example.org/", "https://example.org/\\u0007", "an http or https URL"),
        ('"distributed-computing"', '"Distributed computing"', "is a term of https://www.ivoa.net"),
        ('"Example"', '"A name of seventeen"', "at most 16 characters"),
        ("short_name", "shortname", "no option platform.shortname; did you mean short_name?"),
        ("[contact]", "[kontact]", "contact is missing"),
        ("[services.checksum]\npublish", "[services.checksum]\npublished", "did you mean publish?"),
        ('rights = "Free', 'rights = "Free\n', "this is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in OURS
    (tmp_path / "site.toml").write_text(OURS.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_site(tmp_path)
    assert says in str(caught.value)
    assert "site.toml" in str(caught.value)
