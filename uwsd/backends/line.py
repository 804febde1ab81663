"""What a job is told that waits in line."""


def in_line(before: int, slots: int) -> str:
    """Say how many jobs are served before this one."""
    place = f"{_rounded(before)} before it" if before else "it is the next"
    slot = f"one of {slots} slots" if slots > 1 else "the only slot"
    return f"it waits for {slot}, {place}"


def _rounded(count: int) -> str:
    """Return the first digit of a number: of a long line, only a few jobs have news at a time."""
    scale = 10 ** (len(str(count)) - 1)
    return f"{count}" if scale == 1 else f"more than {count // scale * scale - 1}"
