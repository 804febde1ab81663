"""What a user can be called: the same for every way to log in, since a name is all a job keeps."""

import re

MAX_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether a user can be called so: it fits into XML, headers, logs and the users' file."""
    return _NAME.fullmatch(text) is not None


def explain(text: str) -> str:
    """Say why ``text`` is no name."""
    return (
        f"a user's name has up to {MAX_NAME} of A-Z a-z 0-9 . _ @ + - and begins with a letter "
        f"or a digit, unlike {text[:80]!r}"
    )
