"""How other programs are started: visibly, from the repo's root, and never left behind."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]


class DevError(Exception):
    """A command can't go on. The message is one line for whoever typed it."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def say(line: str) -> None:
    """Prints a line now, so that it stands before what a started program prints."""
    print(line, flush=True)


def shown(command: Sequence[str]) -> str:
    """The command line as one would type it in the repo's root."""
    return shlex.join(word.removeprefix(f"{ROOT}{os.sep}") for word in command)


def run_program(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Shows the command, runs it in the repo's root and waits for it; its exit code as a shell would give it.

    When we are interrupted or terminated meanwhile, the program is terminated too.
    """
    say(f"$ {shown(command)}")
    try:
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
    except OSError as error:
        raise DevError(f"{command[0]} can't be started: {error.strerror}") from error
    with process:
        try:
            return exit_code_of(process.wait())
        except BaseException:
            process.terminate()
            raise


def become_program(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Shows the command and turns into it: signals, terminal and exit code are then its own affair.

    A parent that forwards signals can't do it right: the terminal sends Ctrl-C to both, and the second one
    that the program then gets means "at once" to a server.
    """
    say(f"$ {shown(command)}")
    if os.name == "nt":  # there is no exec that keeps the console
        sys.exit(subprocess.call(command, cwd=ROOT, env=environment))
    os.chdir(ROOT)
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted


def exit_code_of(status: int) -> int:
    """What a shell reports: the program's own code, 128 + n for one that signal n has ended."""
    return status if status >= 0 else 128 - status
