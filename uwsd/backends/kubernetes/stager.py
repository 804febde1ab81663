"""What stands beside a job that shares no folder with the server; for any Python from 3.8 on.

``stager.py in``  fills the workspace before the job's container starts.
``stager.py out`` brings its logs and progress while it runs, and all of outputs/ once it has ended.

In the environment: UWSD_STAGE_URL (of the job, at the server), UWSD_STAGE_FOLDER (the workspace);
the ticket is in the file `ticket` beside this one.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import stat
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import IO, Union

Body = Union[bytes, IO[bytes], None]  # noqa: UP007 - it is run by older ones, too

HEADER = "X-Uwsd-Ticket"
FOLDERS = ("inputs", "outputs", "logs", "run")
LOGS = ("stdout", "stderr")
PACE = 1.0  #: seconds between two looks at what there is
PATIENCE = 600.0  #: seconds that the server may be away
PIECE = 1 << 20
PROGRESS = 512


class Refused(Exception):
    """The server does not want it."""


class Server:
    """The server, asked again and again while it is away."""

    def __init__(self, url: str, ticket: str) -> None:
        self._url = urllib.parse.urlsplit(url)
        self._headers = {HEADER: ticket}
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, target: Path | None = None) -> bytes:
        """Return what is there, or write it to a file."""
        return self._ask("GET", path, lambda: None, target)

    def put(self, path: str, body: Callable[[], Body], length: int) -> None:
        """Bring something; ``body`` makes it, each time anew."""
        self._ask("PUT", path, body, length=length)

    def _ask(
        self,
        method: str,
        path: str,
        body: Callable[[], Body],
        target: Path | None = None,
        length: int | None = None,
    ) -> bytes:
        deadline, rest = time.monotonic() + PATIENCE, 0.2
        while True:
            try:
                return self._try(method, path, body(), target, length)
            except (OSError, http.client.HTTPException) as error:
                self._connection = None
                if time.monotonic() > deadline:
                    raise SystemExit(f"the server cannot be reached: {error}") from None
                time.sleep(rest)
                rest = min(10.0, 2 * rest)

    def _try(
        self, method: str, path: str, body: Body, target: Path | None, length: int | None
    ) -> bytes:
        headers = dict(self._headers)
        if length is not None:
            headers["Content-Length"] = str(length)
        connection = self._connection = self._connection or self._connect()
        connection.request(method, self._url.path + path, body=body, headers=headers)
        answer = connection.getresponse()
        if answer.status >= 500:
            answer.read()
            raise http.client.HTTPException(f"status {answer.status}")
        if answer.status >= 300:
            raise Refused(answer.read(1000).decode(errors="replace").strip())
        if target is None:
            return answer.read()
        with target.open("wb") as file:
            while True:
                piece = answer.read(PIECE)
                if not piece:
                    return b""
                file.write(piece)

    def _connect(self) -> http.client.HTTPConnection:
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._url.netloc, timeout=60, context=context)
        return http.client.HTTPConnection(self._url.netloc, timeout=60)


def bring_in(server: Server, folder: Path) -> None:
    """Fill the workspace."""
    for name in FOLDERS:
        (folder / name).mkdir(exist_ok=True)
    for name in LOGS:
        (folder / "logs" / name).touch()
    for path in json.loads(server.get("/inputs")):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        server.get("/inputs/" + quoted(path), target)


class Outgoing:
    """What has been brought of the logs and the progress so far."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._sent = dict.fromkeys(LOGS, 0)
        self._progress = b""

    def catch_up(self) -> None:
        """Bring what is new."""
        for name in LOGS:
            while self._bring_log(name):
                pass
        progress = tail(self._folder / "progress", PROGRESS)
        if progress != self._progress:
            self._progress = progress
            self._server.put("/progress", lambda: progress, len(progress))

    def _bring_log(self, name: str) -> bool:
        offset = self._sent[name]
        piece = part(self._folder / "logs" / name, offset, PIECE)
        if piece:
            self._server.put(f"/logs/{name}?offset={offset}", lambda: piece, len(piece))
            self._sent[name] = offset + len(piece)
        return len(piece) == PIECE

    def bring_outputs(self) -> None:
        """Bring all regular files below outputs/."""
        root = self._folder / "outputs"
        for where, _, names in os.walk(root):
            for name in sorted(names):
                self._bring(Path(where) / name, root)

    def _bring(self, path: Path, root: Path) -> None:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return  # as on a shared folder: only a file of its own is a result
        name = quoted(str(path.relative_to(root)))
        self._server.put("/outputs/" + name, lambda: path.open("rb"), status.st_size)


def quoted(path: str) -> str:
    """Return a path as part of a URL."""
    try:
        return urllib.parse.quote(path.encode())
    except UnicodeEncodeError:
        raise SystemExit(f"the name of a file is not UTF-8: {path!r}") from None


def part(path: Path, offset: int, most: int) -> bytes:
    """Return some bytes of a file, or none."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(most)
    except OSError:
        return b""


def tail(path: Path, most: int) -> bytes:
    """Return the last bytes of a regular file."""
    try:
        status = path.lstat()
    except OSError:
        return b""
    regular = stat.S_ISREG(status.st_mode)
    return part(path, max(0, status.st_size - most), most) if regular else b""


def lives(pid: int) -> bool:
    """Whether the job's first process is still there; all containers of a pod see it."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return status.rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def bring_out(server: Server, folder: Path) -> None:
    """Stand by until the job has ended, and bring what it has made."""
    # Whoever ends the pod ends the job, too: what there is then is to be brought all the same.
    signal.signal(signal.SIGTERM, lambda *_: None)
    outgoing = Outgoing(server, folder)
    named, pid, looked = folder / "run/pid", 0, 0.0
    while not pid or lives(pid):
        if not pid and named.exists():
            pid = int(named.read_text().strip() or 0)
        if time.monotonic() > looked + PACE:
            outgoing.catch_up()
            looked = time.monotonic()
        time.sleep(0.05)
    outgoing.catch_up()
    outgoing.bring_outputs()


def main() -> None:
    """Do what the first argument says."""
    os.umask(0o077)
    ticket = Path(__file__).with_name("ticket").read_text().strip()
    server = Server(os.environ["UWSD_STAGE_URL"], ticket)
    step = bring_in if sys.argv[1] == "in" else bring_out
    try:
        step(server, Path(os.environ["UWSD_STAGE_FOLDER"]))
    except Refused as error:
        raise SystemExit(f"the server refuses it: {error}") from None


if __name__ == "__main__":
    main()
