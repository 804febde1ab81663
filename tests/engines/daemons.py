"""The processes of a private engine: started, killed and started again by name."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


class Daemons:
    """Processes that live as long as this context; their output is in ``folder``, a file each."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = environment
        self._commands: dict[str, tuple[Sequence[str], Callable[[], object]]] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Daemons":
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(self.names):
            self.stop(name)

    @property
    def names(self) -> tuple[str, ...]:
        """All that have been started, in their order."""
        return tuple(self._commands)

    def start(self, name: str, *command: str, ready: Callable[[], object]) -> None:
        """Start a daemon, and wait until ``ready`` returns something true."""
        self._commands[name] = (command, ready)
        self.restart(name)

    def restart(self, name: str, within: float = 60) -> None:
        """Start a daemon that does not run, and wait until it is ready."""
        command, ready = self._commands[name]
        if self.is_running(name):
            return
        with (self._folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        wait_until(ready, within, f"{name} did not come up: {self.log(name)[-2000:]}")

    def kill(self, name: str) -> None:
        """End a daemon without any notice."""
        self._running[name].kill()
        self._running[name].wait()

    def stop(self, name: str, within: float = 20) -> None:
        """Ask a daemon to end; make sure if it does not."""
        if name not in self._running:
            return
        self._running[name].terminate()
        with suppress(subprocess.TimeoutExpired):
            self._running[name].wait(within)
        self.kill(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Let a daemon stand still: it is there, and does not answer."""
        self._running[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._running[name].send_signal(signal.SIGCONT)

    def is_running(self, name: str) -> bool:
        """Whether the daemon lives."""
        return name in self._running and self._running[name].poll() is None

    def log(self, name: str) -> str:
        """Return what the daemon has printed."""
        return (self._folder / f"{name}.log").read_text(errors="replace")


def wait_until(condition: Callable[[], object], within: float, otherwise: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.05)
