"""Heads of the chains, kept where whoever rules the database can't reach: the proof against cutting off the end."""

import fcntl
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import orjson

from app.core.evidence.canonical import STREAMS, Stream, encoded, instant_text
from app.core.evidence.seals import Seal

_MODE = 0o600
_TAIL_BYTES = 64 * 1024
_MARK = b"audit-anchor "


@dataclass(frozen=True, slots=True)
class Head:
    """What an anchor keeps of a seal."""

    stream: Stream
    number: int
    last_id: int
    seal_hash: str
    sealed_at: str

    @classmethod
    def of(cls, seal: Seal) -> Self:
        """The head that this seal is."""
        return cls(seal.stream, seal.number, seal.last_id, seal.seal_hash, instant_text(seal.sealed_at))

    @classmethod
    def read(cls, line: bytes) -> Self:
        """From a line. Raises ValueError."""
        told: Any = orjson.loads(line)
        if not isinstance(told, dict) or told.keys() != set(cls.__slots__) or told["stream"] not in STREAMS:
            raise ValueError("no head")
        whole = all(type(told[name]) is int for name in ("number", "last_id"))
        if not whole or not isinstance(told["seal_hash"], str) or not isinstance(told["sealed_at"], str):
            raise ValueError("no head")
        return cls(**told)

    def line(self) -> bytes:
        """As it is written, with its end."""
        return encoded({name: getattr(self, name) for name in self.__slots__}) + b"\n"


class AnchorFault(Exception):
    """The anchor can't be written or read; the text says why."""


class Anchor(Protocol):
    """A place to which heads are only added. Its methods block: they are called in a thread."""

    def newest(self) -> Mapping[Stream, int] | None:
        """The number of the last head of each log; None where the anchor can't be asked. Raises AnchorFault."""

    def add(self, heads: Iterable[Head]) -> None:
        """Adds heads, safe when this returns; those that are there already are left out. Raises AnchorFault."""

    def heads(self) -> list[Head]:
        """All that was ever added, in order. Raises AnchorFault."""


class FileAnchor:
    """A file of lines, on another disk or a share that this machine may append to. Safe with several writers.

    A line that a crash cut off stays, since files that only grow can't be mended; its head is written again.
    """

    def __init__(self, path: Path) -> None:
        """Made at the first head."""
        self._path = path

    def newest(self) -> Mapping[Stream, int] | None:
        """See Anchor."""
        return _newest(self.heads())

    def add(self, heads: Iterable[Head]) -> None:
        """See Anchor."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _MODE), "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                there, is_torn = self._end_of(file)
                new = [head.line() for head in heads if head.number > there[head.stream]]
                if new:
                    file.write((b"\n" if is_torn else b"") + b"".join(new))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AnchorFault(f"{self._path}: {error.strerror}") from None

    def _end_of(self, file: BinaryIO) -> tuple[Mapping[Stream, int], bool]:
        """The newest heads, and whether the last line lacks its end. Nearly always the end of the file says so."""
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read()
        if size > _TAIL_BYTES and not all(_newest(_readable(text)).values()):
            file.seek(0)
            text = file.read()
        return _newest(_readable(text)), bool(text) and not text.endswith(b"\n")

    def heads(self) -> list[Head]:
        """See Anchor."""
        try:
            return _parsed(self._path.read_bytes(), self._path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise AnchorFault(f"{self._path}: {error.strerror}") from None


class StreamAnchor:
    """Standard output, for whoever ships logs elsewhere. It can't be asked what it was told."""

    def newest(self) -> Mapping[Stream, int] | None:
        """See Anchor."""
        return None

    def add(self, heads: Iterable[Head]) -> None:
        """See Anchor."""
        for head in heads:
            sys.stdout.write((_MARK + head.line()).decode())
        sys.stdout.flush()

    def heads(self) -> list[Head]:
        """See Anchor."""
        raise AnchorFault("stdout can't be read back: give the file that its lines were kept in")


def _newest(heads: Iterable[Head]) -> dict[Stream, int]:
    found: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
    for head in heads:
        found[head.stream] = max(found[head.stream], head.number)
    return found


def _parsed(text: bytes, path: Path) -> list[Head]:
    """Lines as they were written; also behind `audit-anchor `, as a log of standard output has them."""
    lines, found = [line.rpartition(_MARK)[2] for line in text.split(b"\n")], []
    for number, line in enumerate(lines):
        try:
            found.append(Head.read(line))
        except ValueError:
            if not _was_cut_off(line, lines[number + 1 :]):
                raise AnchorFault(f"{path}: line {number + 1} is no head of a log") from None
    return found


def _readable(text: bytes) -> list[Head]:
    """The heads among lines. What else is there stops nobody from adding more; verification tells of it."""
    found = []
    for line in text.split(b"\n"):
        with suppress(ValueError):
            found.append(Head.read(line.rpartition(_MARK)[2]))
    return found


def _was_cut_off(line: bytes, rest: Sequence[bytes]) -> bool:
    """Whether it is the last one, whose writer may still be at it; or one that was written again in full."""
    return not rest or any(whole.startswith(line) for whole in rest)
