"""Where things are in a TOML text, whatever strings and comments pretend."""

import pytest

from uwsd.config.lines import key_lines

TEXT = '''# [not.a.table]
top = 1
"quoted key" = "a = 1 # no comment [x]"

[server]   # a comment = 1
port = 8080
text = """
[fake]
port = 9
"""
literal = \'\'\'
x = 1
\'\'\'
after.dotted."two words" = 2

[services.demo]
command = [
    "a",  # one
    "b",
]
inline = { x = 1, y = { z = [1, 2] } }

[[many]]
a = 1
[[many]]
b = 2
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("top",), 2),
        (("quoted key",), 3),
        (("server",), 5),
        (("server", "port"), 6),
        (("server", "text"), 7),
        (("server", "literal"), 11),
        (("server", "after", "dotted", "two words"), 14),
        (("services", "demo"), 16),
        (("services", "demo", "command"), 17),
        (("services", "demo", "command", 1), 19),
        (("services", "demo", "inline", "y", "z"), 21),
        (("many", 0, "a"), 24),
        (("many", 1, "b"), 26),
    ],
)
def test_a_key_is_found_in_its_line(key: tuple[str | int, ...], line: int) -> None:
    assert key_lines(TEXT)[key] == line


@pytest.mark.parametrize("key", [("not",), ("fake",), ("server", "x"), ("fake", "port")])
def test_what_only_looks_like_a_key_is_none(key: tuple[str, ...]) -> None:
    assert key not in key_lines(TEXT)
