"""Where archives are kept: a folder, built in; object stores with an extra package. All methods block."""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, cast

_DRAFT = ".tmp"
_CHUNK = 1 << 20
_MODE, _FOLDER_MODE = 0o600, 0o700


class StorageFault(Exception):
    """The place can't be read or written; the text says what and why."""


class Destination(Protocol):
    """Named files that appear whole or not at all. Every method raises StorageFault."""

    uri: str

    def names(self, suffix: str) -> list[str]:
        """The names that end so, in their order; no drafts."""

    def size(self, name: str) -> int | None:
        """In bytes; None where there is no such file."""

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """A stream of the file's bytes."""

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A stream whose file is there, and safe, when the block ends without an exception; else nothing is."""

    def remove(self, name: str) -> None:
        """Removes a file, also one that isn't there."""

    def free_bytes(self) -> int | None:
        """How much room there is; None where nobody can tell."""

    def sweep(self) -> list[str]:
        """Removes the drafts that an interrupted writer left; returns their names."""


class Folder:
    """A local directory. Only one writer may work in it at a time: see `locks.py`."""

    def __init__(self, path: Path) -> None:
        """Made at the first file."""
        self.path = path
        self.uri = str(path)

    def names(self, suffix: str) -> list[str]:
        """See Destination."""
        with _told(self.path):
            names = sorted(entry.name for entry in self._entries() if entry.name.endswith(suffix))
        return [name for name in names if not name.endswith(_DRAFT)]

    def size(self, name: str) -> int | None:
        """See Destination."""
        with _told(self.path / name):
            try:
                return (self.path / name).stat().st_size
            except FileNotFoundError:
                return None

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """See Destination."""
        with open_file(self.path / name, "rb") as file:
            yield file

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """See Destination: a draft that is flushed to the disk and then renamed, with the directory flushed too."""
        draft, target = self.path / f"{name}{_DRAFT}", self.path / name
        with _told(target):
            self.path.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
        try:
            with open_file(draft, "wb") as file:
                yield file
                file.flush()
                with _told(draft):
                    os.fsync(file.fileno())
            with _told(target):
                draft.replace(target)
                _flush_folder(self.path)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        """See Destination."""
        with _told(self.path / name):
            (self.path / name).unlink(missing_ok=True)
            _flush_folder(self.path)

    def free_bytes(self) -> int | None:
        """See Destination: of the nearest folder that is there."""
        with _told(self.path):
            there = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
            return shutil.disk_usage(there).free

    def sweep(self) -> list[str]:
        """See Destination."""
        with _told(self.path):
            drafts = [entry for entry in self._entries() if entry.name.endswith(_DRAFT)]
            for draft in drafts:
                draft.unlink(missing_ok=True)
            return sorted(draft.name for draft in drafts)

    def _entries(self) -> list[Path]:
        return [entry for entry in self.path.iterdir() if entry.is_file()] if self.path.exists() else []


class _File(io.FileIO):
    """Whose faults are StorageFaults: what else fails while it is open, keeps its own name."""

    def readinto(self, buffer: Any, /) -> int | None:
        with _told(self.name):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with _told(self.name):
            return super().readall() or b""

    def write(self, data: Any, /) -> int:
        with _told(self.name):
            return super().write(data)


@contextmanager
def open_file(path: Path, mode: Literal["rb", "wb"]) -> Iterator[BinaryIO]:
    """A file of this machine, new ones for their owner only. Raises StorageFault, also from reading and writing."""
    with _told(path):
        raw = _File(path, mode, opener=lambda name, flags: os.open(name, flags, _MODE))
    buffered = io.BufferedReader(raw, _CHUNK) if mode == "rb" else io.BufferedWriter(raw, _CHUNK)
    try:
        yield cast("BinaryIO", buffered)
        buffered.flush()
    finally:
        raw.close()


@contextmanager
def _told(path: object) -> Iterator[None]:
    """Faults of the system with the path that they are about."""
    try:
        yield
    except OSError as error:
        raise StorageFault(f"{path}: {error.strerror or error}") from error


def _flush_folder(path: Path) -> None:
    """A name is safe only when its directory is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
