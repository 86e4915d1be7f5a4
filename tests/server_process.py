"""One server process that is ours: its folder, its port, its start and its several ends."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests import server_watchdog

START_SECONDS = 60.0
END_SECONDS = 30.0
# Between asking the kernel for a free port and the server's own bind, another program may take it.
PORT_ATTEMPTS = 5


class ServerError(Exception):
    """A server did not do what it was told; the message ends with the last lines of its log."""


class PortTakenError(ServerError):
    """Somebody else has the port that the server was to listen on."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged_user() -> str | None:
    """The user for programs that refuse to run as root: `nobody` when we are root, else None (as we are)."""
    return "nobody" if os.geteuid() == 0 else None


def server_environment() -> Mapping[str, str]:
    """What a server gets of our environment: messages in English, and no setting of the developer's own."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


class ServerProcess:
    """A folder that lives as long as this object or this process, and the server that runs in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = Path(tempfile.mkdtemp(prefix=f"tessera-{name.lower()}-"))
        self.port = 0
        self._log = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", server_watchdog.__file__, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is not meant for it
        )

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not ended since."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id. Raises ServerError when it doesn't run."""
        if self._process is None or self._process.poll() is not None:
            raise ServerError(f"{self.name} is not running.")
        return self._process.pid

    def run_to_end(self, command: Sequence[str], user: str | None) -> None:
        """Runs a preparing program, as `initdb`. Raises ServerError with its output when it fails."""
        with self._spawn(command, user) as program:
            try:
                status = program.wait()
            except BaseException:
                program.kill()
                raise
        if status != 0:
            raise self._failure(f"{command[0]} ended with {status}")

    def launch(
        self, command: Callable[[int], Sequence[str]], ready: Callable[[int], bool], user: str | None
    ) -> None:
        """Starts the server and waits until it is `ready`; does nothing when it runs already.

        Both take a port: a free one at the first start, the same one at every later start, so that the
        address stays. Raises ServerError when the server ends or isn't ready in time.
        """
        if self.is_running:
            return
        for attempt in range(PORT_ATTEMPTS):
            port = self.port or free_port()
            log_begins_at = self._log.stat().st_size if self._log.exists() else 0
            self._process = self._spawn(command(port), user)
            self._tell_watchdog(self._process.pid)
            try:
                self._wait_until(partial(ready, port), log_begins_at)
            except PortTakenError:
                if self.port or attempt == PORT_ATTEMPTS - 1:
                    raise
            else:
                self.port = port
                return

    def _spawn(self, command: Sequence[str], user: str | None) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=[] if user else None,
                env=server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # pytest's Ctrl-C must not reach it before the tests have ended
            )

    def _wait_until(self, ready: Callable[[], bool], log_begins_at: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if not self.is_running:
                self._tell_watchdog(0)
                failure = self._failure(f"{self.name} ended at its start")
                if b"Address already in use" in self._log.read_bytes()[log_begins_at:]:
                    raise PortTakenError(str(failure))
                raise failure
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"{self.name} was not ready after {START_SECONDS:g} s")
            time.sleep(0.01)

    def end(self, number: signal.Signals) -> None:
        """Ends the server with that signal and waits; does nothing when it doesn't run.

        A server that has not ended after END_SECONDS is killed.
        """
        if self._process is None or not self.is_running:
            return
        self.resume()  # a stopped process would keep the signal for later
        self._process.send_signal(number)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._tell_watchdog(0)

    def kill(self) -> None:
        """Kills the server and its children at once, as the kernel does when memory runs out."""
        if self._process is not None and self.is_running:
            server_watchdog.kill_server(self._process.pid)
            self._process.wait()
            self._tell_watchdog(0)

    def pause(self) -> None:
        """Stops the server in the middle of whatever it does: connections stay open, nothing answers.

        Raises ServerError where there is no /proc to find the server's children in.
        """
        if not Path("/proc/self").exists():
            raise ServerError(f"{self.name} can't be paused on this system: it has no /proc.")
        # The server first, so that it makes no more children; each child of PostgreSQL leads a process group
        # of its own, so a signal to the server's group would miss them.
        server_watchdog.signal_processes([self.pid], signal.SIGSTOP)
        server_watchdog.signal_processes(server_watchdog.child_processes(self.pid), signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused server go on; does nothing to one that isn't paused."""
        children = server_watchdog.child_processes(self.pid)
        server_watchdog.signal_processes([*children, self.pid], signal.SIGCONT)

    def close(self) -> None:
        """Removes the folder. The server must have ended."""
        if self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.close()
        self._watchdog.wait()
        shutil.rmtree(self.folder, ignore_errors=True)  # should the watchdog itself have been killed

    def _tell_watchdog(self, process: int) -> None:
        if self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.write(f"{process}\n".encode())
                self._watchdog.stdin.flush()

    def _failure(self, what: str) -> ServerError:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return ServerError("\n".join([f"{what}. The end of its log:", *lines[-15:]]))
