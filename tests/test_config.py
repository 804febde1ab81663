"""The configuration: what is read, and how what is wrong is told."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from uwsd.cli import main
from uwsd.config import BUNDLED, ConfigError, load
from uwsd.config.options import all_options, tables

ROOT = Path(__file__).parents[1]
DEMO = '[services.demo]\ncommand = ["true"]\n'
NUMBER = (
    DEMO
    + "parameters.N = { type = 'integer', range = [3, inf], required = true }\n"
    + "parameters.F = { type = 'file' }\nfetch = { schemes = [] }\n"
)
ONE = "[services.demo.examples.one]\ntitle = 'x'\n"

# (file, line of the problem, part of its message)
BROKEN = [
    ("[server]\nprot = 1\n", 2, "there is no option server.prot; did you mean port?"),
    ("[sever]\nport = 1\n", 1, "there is no option sever; did you mean server?"),
    ("[server]\n\nport = 'x'\n", 3, "server.port: Input should be a valid integer"),
    ("[server]\nport = 70000\n", 2, "server.port: Input should be less than or equal to 65535"),
    ("[server]\nport = -1\n", 2, "not -1"),
    ("[server]\nworkers = 0\n", 2, "server.workers"),
    ("[server]\nworkers = 1.5\n", 2, "server.workers"),
    ("[server]\nhost = 1\n", 2, "server.host: Input should be a valid string, not 1"),
    ("[server]\nbase_url = 'ftp://x'\n", 2, "of the form https://host/path, not 'ftp://x'"),
    ("[server]\nbase_url = 'https:///x'\n", 2, "of the form https://host/path"),
    ("[server]\nbase_url = 'https://x/?a'\n", 2, "of the form https://host/path"),
    ("[server]\ntrusted_proxies = ['1.2.3']\n", 2, "'1.2.3' does not appear to be an IPv4"),
    ("[server]\ntrusted_proxies = '::1'\n", 2, "server.trusted_proxies"),
    ("[server]\nmax_wait = 0\n", 2, "server.max_wait"),
    ("server = 1\n", 1, "server: Input should be a valid dictionary"),
    ("[data]\nfolder = 1\n", 2, "data.folder"),
    ("[retention]\narchive = 'maybe'\n", 2, "retention.archive"),
    ("[auth]\nlist_anonymus = true\n", 2, "did you mean list_anonymous?"),
    ("[auth]\nproxy_header = 'X-Remote-User'\n", 1, "needs a proxy_secret of at least 16 ASCII"),
    ("[auth]\nproxy_header = 'X'\nproxy_secret = 'short'\n", 1, "needs a proxy_secret of at least"),
    ("[auth]\nproxy_header = 'X_Y'\n", 2, "auth.proxy_header"),
    ("[auth]\nproxy_header = 'X'\nproxy_secret = '0123456789abcdef'\n", 1, "auth: proxy_header needs the address"),
    (DEMO + "anonymous = 'maybe'\n", 3, "services.demo.anonymous"),
    ("[supervisor]\ntick = 0\n", 2, "supervisor.tick"),
    ("[limits]\nmax_duration = -1\n", 2, "limits.max_duration"),
    ("[limits]\nmax_upload = 'much'\n", 2, "limits.max_upload"),
    ("[backends.x]\nslots = 1\n", 1, 'backends.x needs a type, such as "local"'),
    ("[backends.x]\ntype = 'locl'\n", 2, "there is no module uwsd.backends.locl"),
    ("[backends.x]\ntype = 'no.such'\n", 2, "there is no module no.such"),
    ("[backends.local]\ntype = 'local'\nslot = 1\n", 3, "did you mean slots?"),
    ("[backends.local]\ntype = 'local'\nslots = 0\n", 3, "backends.local.slots"),
    (DEMO + "backend = 'slurm'\n", 3, "which is no backend here; known here: local"),
    ("[backends.main]\ntype = 'local'\n" + DEMO, 3, "which is no backend here; known here: main"),
    ("[services.Demo]\ncommand = ['true']\n", 1, "services.Demo"),
    ("[services.sync]\ncommand = ['true']\n", 1, "sync is a name of uwsd's own"),
    ("[services.x]\ntitle = 'x'\n", 1, 'the capability "command" needs a command'),
    ("[services.x]\ncommand = 'true'\n", 2, "services.x.command"),
    ("[services.x]\ncommand = ['a', '{A}']\n", 1, "{A} in the command names no parameter"),
    (DEMO + "titel = 'x'\n", 3, "did you mean title?"),
    (DEMO + "parameters.A = { typ = 'real' }\n", 3, "did you mean type?"),
    (DEMO + "parameters.A = { type = 'float' }\n", 3, "parameters.A.type"),
    (DEMO + "parameters.A = { range = [0, 1] }\n", 3, "range is for integer and real"),
    (DEMO + "parameters.A = { type = 'real', default = 'x' }\n", 3, "takes"),
    (DEMO + "parameters.PHASE = {}\n", 3, "PHASE has a meaning of its own"),
    (DEMO + "results.result = {}\n", 3, "services.demo.results.result.path is missing"),
    (DEMO + "results.result = { path = '../x' }\n", 3, "below the working folder"),
    (DEMO + "results.other = { path = 'x' }\n", 3, 'one of the results has to be "result"'),
    (DEMO + "limits = { default_duration = 9, max_duration = 3 }\n", 3, "from 1 to max_duration"),
    (DEMO + "capability = 'function'\n", 1, 'the capability "function" needs a function'),
    (DEMO + "fetch = { schemes = ['ftp'] }\n", 3, "services.demo.fetch.schemes"),
    (DEMO + "examples.a = {}\n", 3, "services.demo.examples.a.title is missing"),
    (DEMO + "examples.'a b' = { title = 'x' }\n", 3, "an example is named with"),
    (DEMO + ONE + "parameters = { A = 1 }\n", 5, "the example one of the service demo: A is no"),
    (NUMBER + ONE + "\nparameters.N = 'x'\n", 9, "N takes an integer of at least 3, not 'x'"),
    (NUMBER + ONE + "parameters.n = 2\n", 8, "N takes an integer of at least 3, not '2'"),
    (NUMBER + ONE + "parameters.N = [3, 4]\n", 8, "N takes one value, not 2"),
    (NUMBER + ONE, 6, "the example one of the service demo: N must be given"),
    (NUMBER + ONE + "parameters = { N = 3, PHASE = 'RUN' }\n", 8, "PHASE is no parameter"),
    (NUMBER + ONE + "parameters = { N = 3, F = 'param:x' }\n", 8, "param:x names no part"),
    (NUMBER + ONE + "parameters = { N = 3, F = 'https://h/x' }\n", 8, "F takes no URLs"),
    (NUMBER + ONE + 'parameters = { N = 3, F = "\\u0007" }\n', 8, "F has a character"),
    ("[database]\nurl = 'postgresql://u:p@h/d'\n", 2, "begins with sqlite:/// or postgresql+psycopg"),
    ("[server\n", 1, "this is not TOML"),
    ("a = 1\n\nb = \n", 3, "this is not TOML"),
    ("[server]\nport = 1\nport = 2\n", 3, "this is not TOML"),
]  # fmt: skip

VARIABLES = [
    ("UWSD_SERVER__PROT", "1", "there is no option server.prot; did you mean port?"),
    ("UWSD_SERVER__PORT", "many", "server.port: Input should be a valid integer"),
    ("UWSD_PORT", "x", "server.port: Input should be a valid integer"),
    ("UWSD_PROT", "1", "this variable means nothing to uwsd; did you mean UWSD_PORT?"),
    ("UWSD_SERVER__", "1", "this variable means nothing"),
    ("UWSD_SERVER__TRUSTED_PROXIES", "[1", "server.trusted_proxies"),
    ("UWSD_DATABASE__URL_FILE", "/nonexistent", "/nonexistent cannot be read"),
    ("UWSD_SERVICES__DEMO__TITEL", "x", "did you mean title?"),
]


def problems(tmp_path: Path, text: str, environ: dict[str, str]) -> list[str]:
    config = tmp_path / "uwsd.toml"
    config.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(config, environ)
    return [str(problem).replace(str(config), "uwsd.toml") for problem in error.value.problems]


@pytest.mark.parametrize(("text", "line", "says"), BROKEN)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    (problem, *others) = problems(tmp_path, text, {})
    assert re.match(rf"uwsd\.toml:{line}: ", problem), problem
    assert says in problem
    assert not others


@pytest.mark.parametrize(("name", "value", "says"), VARIABLES)
def test_a_bad_variable_is_told_by_its_name(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    (problem,) = problems(tmp_path, DEMO, {name: value})
    assert problem.startswith(f"{name}: ")
    assert says in problem


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = "[server]\nport = 'x'\nprot = 1\n[backends.x]\n" + DEMO + "titel = 1\n"
    assert len(problems(tmp_path, text, {"UWSD_NO": "1"})) == 5


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml", {})


def test_the_environment_comes_on_top(tmp_path: Path) -> None:
    config = tmp_path / "uwsd.toml"
    config.write_text("[server]\nport = 1\nhost = '::1'\n[services.my-demo]\ncommand = ['true']\n")
    environ = {
        "UWSD_SERVER__PORT": "2",
        "UWSD_SERVER__TRUSTED_PROXIES": '["10.0.0.0/8"]',
        "UWSD_RETENTION__ARCHIVE": "true",
        "UWSD_SUPERVISOR__TICK": "0.5",
        "UWSD_DATA": "/tmp/x",
        "UWSD_SERVICES__MY_DEMO__TITLE": "2024",
        "UWSD_SERVICES__MY_DEMO__LIMITS__MAX_UPLOAD": "1 KiB",
        "UWSD_SERVICES__MY_DEMO__PARAMETERS__A": '{ type = "real", default = 1 }',
        "UWSD_SERVICES__OTHER__COMMAND": '["false"]',
        "PATH": "not ours",
    }
    settings = load(config, environ)
    assert (settings.server.port, settings.server.host) == (2, "::1")
    assert settings.server.trusted_proxies == ("10.0.0.0/8",)
    assert settings.retention.archive
    assert settings.supervisor.tick == 0.5
    assert settings.folder == Path("/tmp/x")
    demo = settings.services["my-demo"]
    assert (demo.title, demo.limits.max_upload) == ("2024", 1024)
    assert demo.parameters["A"].default == 1
    assert settings.services["other"].command == ("false",)


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    secret, config = tmp_path / "url", tmp_path / "uwsd.toml"
    secret.write_text("postgresql+psycopg://u:hunter2@host/db\n")
    config.write_text(DEMO)
    settings = load(config, {"UWSD_DATABASE__URL_FILE": str(secret)})
    assert settings.database_url == "postgresql+psycopg://u:hunter2@host/db"
    assert "hunter2" not in repr(settings)
    config.write_text(
        "[database]\nurl = ['hunter2']\n[server]\nport = 'x'\n"
        "[auth]\nproxy_header = 'X'\nproxy_secret = 270271272\nproxy_secre = 'hunter2'\n"
    )
    with pytest.raises(ConfigError) as error:
        load(config, {})
    assert "hunter2" not in str(error.value)
    assert "270271272" not in str(error.value)


def test_limits_of_the_site_are_the_defaults_of_its_services(tmp_path: Path) -> None:
    config = tmp_path / "uwsd.toml"
    config.write_text(
        "[limits]\nmax_duration = 50\ndefault_duration = 20\n" + DEMO + "limits.max_duration = 40\n"
    )
    limits = load(config, {}).services["demo"].limits
    assert (limits.max_duration, limits.default_duration) == (40, 20)


def test_the_bundled_configuration_is_good() -> None:
    assert {"demo", "checksum", "sed"} == set(load(BUNDLED, {}).services)


def test_check_says_what_is_wrong_and_fails(tmp_path: Path) -> None:
    config = tmp_path / "uwsd.toml"
    config.write_text("[server]\nprot = 1\n")
    result = CliRunner().invoke(main, ["check", "--config", str(config)])
    assert result.exit_code == 2
    assert f"{config}:2: there is no option server.prot; did you mean port?" in result.output
    config.write_text(DEMO)
    result = CliRunner().invoke(main, ["check", "--config", str(config)])
    assert (result.exit_code, "the configuration is good" in result.output) == (0, True)


def test_every_option_has_a_type_and_a_help_text() -> None:
    options = list(all_options())
    assert len(options) > 50
    assert [o.name for o in options if not (o.type and o.description.endswith((".", "?")))] == []


def test_the_document_has_every_option() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    found = re.search(r"<!-- options -->\n(.*)\n<!-- end of options -->", text, re.DOTALL)
    assert found, "docs/configuration.md has lost its marks"
    assert found[1].strip() == tables(all_options()), (
        "put what `uwsd options` prints between the marks"
    )


def test_no_engine_s_library_is_loaded_with_the_configuration() -> None:
    """A web process reads it before gevent patches sockets, and needs no such library at all."""
    load = "import sys; from uwsd.config.options import all_options; list(all_options())"
    look = "print(*{'requests', 'urllib3', 'docker', 'kubernetes'} & sys.modules.keys())"
    seen = subprocess.run(
        (sys.executable, "-c", f"{load}; {look}"), capture_output=True, text=True, check=True
    )
    assert seen.stdout == "\n"
