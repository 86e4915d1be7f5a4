"""`dev.py run`: from nothing to a server that answers."""

import errno
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from dev_tool.processes import ROOT, DevError, become_program, run_program, shown
from dev_tool.virtual_environment import RUNTIME, VirtualEnvironment

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
LARGEST_PORT = 65535


def run(host: str, port: int) -> None:
    """Installs, migrates, seeds, and turns into the server. Raises DevError when a step fails."""
    require_free_port(host, port)
    environment = VirtualEnvironment()
    environment.ensure(RUNTIME)
    variables = development_variables(os.environ, ROOT / ".env")
    program = [str(environment.python), "-m", "app"]
    for step in ("init-db", "seed"):
        command = [*program, step]
        code = run_program(command, variables)
        if code != 0:
            raise DevError(f"`{shown(command)}` ended with {code}; the reason stands above.", code)
    become_program([*program, "serve", "--host", host, "--port", str(port)], variables)


def development_variables(variables: Mapping[str, str], settings_file: Path) -> dict[str, str]:
    """The variables with ENVIRONMENT=development, unless they or the settings file name an environment.

    The program's own default is production, so that a forgotten setting is safe; on a developer's machine
    that would refuse to start.
    """
    named = any(name.upper() == "ENVIRONMENT" for name in variables) or _names_environment(settings_file)
    return dict(variables) if named else {**variables, "ENVIRONMENT": "development"}


def _names_environment(settings_file: Path) -> bool:
    try:
        text = settings_file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DevError(f"{settings_file} can't be read: {error.strerror}") from error
    return re.search(r"^\s*(?:export\s+)?ENVIRONMENT\s*=", text, re.MULTILINE | re.IGNORECASE) is not None


def require_free_port(host: str, port: int) -> None:
    """Raises DevError when a server could not listen there: before minutes of installing, not after."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise DevError(f"{host!r} is no address of this machine: {error.strerror or error}") from error
    refusals = [_refusal(family, address) for family, _, _, _, address in addresses]
    taken = [refusal for refusal in refusals if refusal and refusal.errno == errno.EADDRINUSE]
    if taken:
        raise DevError(
            f"Port {port} of {host} is in use by another program. Stop that, or choose another port: "
            f"python3 scripts/dev.py run --port {port + 1 if port < LARGEST_PORT else DEFAULT_PORT}"
        )
    if all(refusals):
        refusal = refusals[0]
        raise DevError(
            f"Can't listen on port {port} of {host}: {refusal.strerror if refusal else 'no address'}"
        )


def _refusal(family: int, address: tuple[object, ...]) -> OSError | None:
    """Why nobody can listen on that address; None when somebody can."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":  # elsewhere this option would let us share a taken port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None
