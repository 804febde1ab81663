"""The service ``checksum``: the size and the SHA-256 of a file."""

import argparse
import hashlib
import json
from pathlib import Path


def main() -> None:
    """Read the file and write ``checksum.json``."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--file", type=Path, required=True)
    path = parser.parse_args().file
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    answer = {"sha256": digest, "size": path.stat().st_size}
    Path("checksum.json").write_text(json.dumps(answer) + "\n")
    print(f"{answer['size']} bytes, sha256 {digest}")


main()
