"""The `.venv` in the repo's root: made, filled, and filled again only when a requirements file changed."""

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from dev_tool.processes import ROOT, DevError, run_program, say

try:
    import fcntl
except ImportError:  # Windows: two installations at the same time are then the user's own care
    fcntl = None  # type: ignore[assignment]

RUNTIME = ("requirements.txt",)
DEVELOPMENT = ("requirements.txt", "requirements-dev.txt")

OUR_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

# Asks an environment's own interpreter, because only it knows whether it still works.
PROBE = "import json, platform, sys; print(json.dumps([platform.python_version(), sys.prefix]))"


class VirtualEnvironment:
    """The environment in `<root>/.venv`, with two files of ours in it.

    The stamp tells which requirement files it was filled from, and is written after success only. The
    "unfinished" mark lies there while packages are being installed: found later, the installation was broken
    off, and what it left can't be trusted.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self.folder = root / ".venv"
        self._stamp = self.folder / "tessera-stamp.json"
        self._unfinished = self.folder / "tessera-unfinished"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def ensure(self, requirement_files: tuple[str, ...]) -> None:
        """Makes the environment where needed and installs these files into it unless that was done already.

        Raises DevError with one line that says what is missing.
        """
        with self._alone():
            defect = self._defect()
            if defect:
                say(f".venv is made anew: {defect}")
                self._remove()
            if not self.folder.exists():
                self._create()
            wanted = self._wanted_stamp(requirement_files)
            kept = self._read_stamp()
            if any(kept.get(key) != value for key, value in wanted.items()):
                self._install(requirement_files)
                self._write_stamp({**self._still_valid(kept, wanted), **wanted})

    def _defect(self) -> str | None:
        """Why the folder can't be used as it is; None when it can, or isn't there."""
        if not self.folder.exists():
            # A link to nowhere doesn't "exist", yet it is in the way.
            return "it is a link to nothing" if self.folder.is_symlink() else None
        if self._unfinished.exists():
            return "an installation into it was broken off"
        probed = self._probe()
        if probed is None:
            return "it is incomplete, or its Python is gone"
        version, prefix = probed
        if Path(prefix).resolve() != self.folder.resolve():
            return "it belongs to another folder"
        if self._read_stamp().get("folder", str(self.folder)) != str(self.folder):
            return "it was moved here from another folder"
        if version.rpartition(".")[0] != OUR_VERSION:
            return f"it has Python {version}, and this is {OUR_VERSION}"
        return None

    def _probe(self) -> tuple[str, str] | None:
        """Version and prefix that the environment's interpreter reports; None when it doesn't work."""
        if not (self.folder / "pyvenv.cfg").is_file():
            return None
        command = [str(self.python), "-I", "-c", PROBE]
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
            version, prefix = json.loads(answer)
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return str(version), str(prefix)

    def _remove(self) -> None:
        try:
            if self.folder.is_symlink() or self.folder.is_file():
                self.folder.unlink()
            else:
                shutil.rmtree(self.folder)
        except OSError as error:
            raise DevError(f"{self.folder} can't be removed: {error.strerror}") from error

    def _create(self) -> None:
        # Not sys.executable: that may be the interpreter of the environment which was removed just now.
        python: str = getattr(sys, "_base_executable", "") or sys.executable
        uv = shutil.which("uv")
        if uv is None and importlib.util.find_spec("ensurepip") is None:
            package = f"python{OUR_VERSION}-venv"
            raise DevError(
                f"This Python ({python}) can't make virtual environments: it has no ensurepip. "
                f"Install it with: apt-get install {package}"
            )
        try:
            self.folder.mkdir()
            self._unfinished.touch()
        except OSError as error:
            raise DevError(f"{self.folder} can't be made: {error.strerror}") from error
        if uv:
            command = [uv, "venv", "--quiet", "--allow-existing", "--python", python, str(self.folder)]
        else:
            command = [python, "-m", "venv", str(self.folder)]
        self._run(command, "making the virtual environment")

    def _install(self, requirement_files: tuple[str, ...]) -> None:
        installer = self._installer()
        self._unfinished.touch()
        files = [word for name in requirement_files for word in ("-r", str(self._root / name))]
        say(f"Installing {' and '.join(requirement_files)}; the first time this takes a minute.")
        self._run([*installer, *files], f"installing {' and '.join(requirement_files)}")
        self._unfinished.unlink()

    def _installer(self) -> list[str]:
        """The beginning of the command that installs into the environment."""
        if uv := shutil.which("uv"):
            return [uv, "pip", "install", "--quiet", "--python", str(self.python)]
        if not self._has_pip():
            # uv made it, and is gone.
            self._run([str(self.python), "-m", "ensurepip"], "installing pip")
        return [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]

    def _has_pip(self) -> bool:
        command = [str(self.python), "-I", "-c", "import pip"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _run(self, command: list[str], purpose: str) -> None:
        code = run_program(command, self._installer_environment())
        if code != 0:
            raise DevError(f"{purpose} failed (exit {code}); the reason stands above. Nothing else was done.")

    def _installer_environment(self) -> Mapping[str, str]:
        """Keeps the downloads in the repo too, unless the user has a place for them."""
        cache = self._root / ".cache"
        ours = {"PIP_CACHE_DIR": str(cache / "pip"), "UV_CACHE_DIR": str(cache / "uv")}
        return {**ours, **os.environ}

    def _wanted_stamp(self, requirement_files: tuple[str, ...]) -> dict[str, str]:
        probed = self._probe()
        if probed is None:
            raise DevError(f"{self.folder} was made, but its Python doesn't start.")
        stamp = {"folder": str(self.folder), "python": probed[0]}
        for name in requirement_files:
            stamp[name] = self._digest(name)
        return stamp

    def _digest(self, name: str) -> str:
        try:
            return hashlib.sha256((self._root / name).read_bytes()).hexdigest()
        except OSError as error:
            raise DevError(f"{self._root / name} can't be read: {error.strerror}") from error

    def _read_stamp(self) -> dict[str, str]:
        """The stamp; empty when there is none, or it is damaged."""
        try:
            stamp = json.loads(self._stamp.read_text())
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _still_valid(self, kept: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
        """What an earlier stamp says of files that were not asked for now: `run` leaves `test` installed."""
        return kept if kept.get("python") == wanted["python"] else {}

    def _write_stamp(self, stamp: dict[str, str]) -> None:
        self._stamp.write_text(json.dumps(stamp, indent=2) + "\n")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Lets one dev.py after the other work on the environment; the repo's root itself is the lock."""
        if fcntl is None:
            yield
            return
        root = os.open(self._root, os.O_RDONLY)
        try:
            try:
                fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another dev.py is installing; waiting for it.")
                fcntl.flock(root, fcntl.LOCK_EX)
            yield
        finally:
            os.close(root)
