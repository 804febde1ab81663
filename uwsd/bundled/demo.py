"""The service ``demo``: take some time, give back a text, end as asked."""

import argparse
import os
import sys
import time
from pathlib import Path


def main() -> int:
    """Log a line a second, tell the progress, write ``result.txt``, and return EXIT."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--text", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--exit", type=int, required=True)
    asked = parser.parse_args()
    end = time.monotonic() + asked.seconds
    print(f"taking {asked.seconds:g} s", flush=True)
    while (rest := end - time.monotonic()) > 0:
        tell(1 - rest / asked.seconds, f"taking {asked.seconds:g} s")
        time.sleep(min(1.0, rest))
        print(f"{max(0.0, end - time.monotonic()):.0f} s to go", flush=True)
    Path("result.txt").write_bytes(asked.text.encode())
    print("done", flush=True)
    return int(asked.exit)


def tell(fraction: float, activity: str) -> None:
    """Say how far the job is, from 0 to 1."""
    Path(os.environ["UWSD_PROGRESS"]).write_text(f"{fraction:.3f} {activity}\n")


sys.exit(main())
