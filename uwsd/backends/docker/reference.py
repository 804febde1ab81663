"""What an image may be called."""

import re

_REFERENCE = re.compile(
    r"""
    (?=.{1,255}(@|$))                                                # the name, without a digest
    ([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?/)?        # a registry
    [a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*)*
    (:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?                            # a tag
    (@[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,})?                    # a digest
    """,
    re.ASCII | re.VERBOSE,
)
"""OCI distribution's grammar of references."""


def is_reference(image: str) -> bool:
    """Whether an image can be called that."""
    return _REFERENCE.fullmatch(image) is not None
