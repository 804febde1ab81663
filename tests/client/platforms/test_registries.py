"""Registries that are none, and records that mean no good."""

from itertools import count

import pytest

from tests.client.conftest import Uwsd
from tests.client.platforms.conftest import Answering, Said
from uwsd.client.platforms import harvest

OAI = "http://www.openarchives.org/OAI/2.0/"
RI = "http://www.ivoa.net/xml/RegistryInterface/v1.0"


def page(*records: str, token: str = "") -> str:
    return (
        f'<OAI-PMH xmlns="{OAI}"><ListRecords>{"".join(records)}'
        f"<resumptionToken>{token}</resumptionToken></ListRecords></OAI-PMH>"
    )


def record(
    name: str, title: str = "t", *, url: str = "http://127.0.0.1:9/async", inside: str = "xmlns=''"
) -> str:
    capability = (
        f"<capability standardID='ivo://ivoa.net/std/UWS#rest-1.1'><interface role='std'>"
        f"<accessURL>{url}</accessURL></interface></capability>"
    )
    return (
        f"<record><header><identifier>ivo://x/{name}</identifier></header><metadata>"
        f"<r:Resource xmlns:r='{RI}' {inside} status='active'><title>{title}</title>"
        f"<identifier>ivo://X/{name}</identifier>{capability}</r:Resource></metadata></record>"
    )


DELETED = "<record><header status='deleted'><identifier>ivo://x/{}</identifier></header></record>"


@pytest.mark.parametrize(
    ("said", "status", "says"),
    [
        (Said("<html><p>hello<br></html>"), 5, "does not answer as an OAI-PMH registry"),
        (Said(""), 5, "does not answer as an OAI-PMH registry"),
        (Said("<a/>"), 5, "does not answer as an OAI-PMH registry"),
        (Said("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"), 5, "does not"),
        (Said("no such thing", status=404), 4, "404"),
        (Said("nobody is in", status=500), 5, "500"),
        (Said("too much", 503, (("Retry-After", "3600"),)), 5, "503"),
        (
            Said(f"<OAI-PMH xmlns='{OAI}'><error code='badVerb'>who\u202e?</error></OAI-PMH>"),
            5,
            "badVerb: who\\u202e?",
        ),
    ],
)
def test_what_is_no_registry_is_said_in_a_line(
    answering: Answering, uwsd: Uwsd, said: Said, status: int, says: str
) -> None:
    url = answering(lambda _path: said)
    run = uwsd("platforms", "--harvest", url)
    assert (run.exit_code, run.stdout) == (status, "")
    assert says in run.stderr
    assert run.stderr.count("\n") == 1
    assert "root:" not in run.stderr


def test_a_registry_that_goes_on_for_ever_comes_to_an_end(
    answering: Answering, uwsd: Uwsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harvest, "_MOST_PAGES", 20)
    numbers = count()
    url = answering(lambda _path: Said(page(record("a"), token=str(next(numbers)))))
    run = uwsd("platforms", "--harvest", url)
    assert (run.exit_code, run.stdout) == (5, "")
    assert "goes on for ever" in run.stderr
    assert next(numbers) == 20


def test_a_token_that_leads_to_itself_is_followed_once(answering: Answering, uwsd: Uwsd) -> None:
    asked: list[str] = []

    def again(path: str) -> Said:
        asked.append(path)
        return Said(page(record("a"), token="again"))

    run = uwsd("platforms", "--harvest", answering(again))
    assert run.exit_code == 5
    assert "goes on for ever" in run.stderr
    assert len(asked) == 2


def test_a_searchable_registry_that_does_not_answer_is_said_in_a_line(
    answering: Answering, uwsd: Uwsd
) -> None:
    for url in (answering(lambda _path: Said("x" * 10_000, 503)), "http://127.0.0.1:9/tap"):
        run = uwsd("platforms", "--registry", url)
        assert (run.exit_code, run.stdout) == (5, "")
        assert f"the registry {url} does not answer" in run.stderr
        assert run.stderr.count("\n") == 1
        assert len(run.stderr) < 1000


def test_one_that_is_busy_for_a_moment_is_asked_again(answering: Answering, uwsd: Uwsd) -> None:
    answers = iter([Said("", 503, (("Retry-After", "0"),)), Said(page(record("a")))])
    run = uwsd("platforms", "--harvest", answering(lambda _path: next(answers)), "--no-ask")
    assert run.exit_code == 0
    assert run.stdout.startswith("ivo://x/a\tunknown\t")


def test_the_last_word_on_a_record_counts(answering: Answering, uwsd: Uwsd) -> None:
    pages = {
        "": page(record("a", "old"), record("b"), record("c"), token="2"),
        "2": page(
            record("a", "new"), DELETED.format("b"), record("c").replace("active", "inactive")
        ),
    }
    url = answering(lambda path: Said(pages[path.partition("resumptionToken=")[2]]))
    run = uwsd("platforms", "--harvest", url, "--no-ask")
    assert run.stdout == "ivo://x/a\tunknown\t\tnew\thttp://127.0.0.1:9/async\n"


def test_a_record_can_make_no_lines_and_no_fields(answering: Answering, uwsd: Uwsd) -> None:
    title = "a&#9;b&#10;c\u202e\u0085&lt;b&gt;"
    url = answering(lambda _path: Said(page(record("a", title, url=" http://x/\u200b&#10;y "))))
    run = uwsd("platforms", "--harvest", url, "--no-ask")
    (line,) = run.stdout.split("\n")[:-1]
    assert line.split("\t") == [
        "ivo://x/a",
        "unknown",
        "",
        "a b c\\u202e <b>",
        "http://x/\\u200b y",
    ]


def test_a_record_in_the_wrong_namespace_is_read_too(answering: Answering, uwsd: Uwsd) -> None:
    """Some registries let the namespace of their envelope leak into the records."""
    url = answering(lambda _path: Said(page(record("a", inside=""))))
    assert uwsd("platforms", "--harvest", url, "--no-ask").stdout.startswith("ivo://x/a\t")
