"""The files of an archive: one line for each row, compressed, the same bytes for the same rows."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, NamedTuple

import orjson

from app.core.evidence.anonymise import sealed_leaf
from app.core.evidence.boots import Intervals
from app.core.evidence.canonical import Line, Span, instant_text
from app.core.evidence.destinations import Destination
from app.core.evidence.manifest import DATA, Manifest
from app.core.evidence.merkle import MerkleTree, leaf_of
from app.core.evidence.seals import Seal

LEVEL = 1  # most of the time goes into JSON; a higher level would save a fifth of the room
_CHUNK = 1 << 20
_ID, _BOOT, _SEQ = b',"id":', b',"boot_id":"', b',"seq":'
_LONGEST = 1 << 24


class Damaged(Exception):
    """A file is not what its manifest says; the text says in which way."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What was written or read. Hashes are hexadecimal digits."""

    row_count: int
    size_bytes: int
    plain_bytes: int
    sha256_file: str
    sha256_plain: str
    merkle_root: str
    min_at: str | None
    max_at: str | None


class _HashedFile(io.RawIOBase):
    """Passes bytes on and hashes them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # what gzip hands over is bytes
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)


class SegmentWriter:
    """Writes lines and takes their measure. Memory doesn't grow with them."""

    def __init__(self, file: BinaryIO, *, is_anonymised: bool = False) -> None:
        """`file` is the caller's to close, after `close`. `is_anonymised`: lines carry the leaves of their rows."""
        self._raw = _HashedFile(file)
        self._leaf = sealed_leaf if is_anonymised else leaf_of
        # Neither time nor name in the header: the same rows make the same file.
        self._gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=self._raw, mtime=0)
        self._plain = sha256()
        self._plain_bytes = 0
        self._tree, self._span = MerkleTree(), Span()

    def add(self, lines: list[Line]) -> None:
        """The next rows, in the order of their ids."""
        self._tree.extend([self._leaf(line.data) for line in lines])
        self._span.take_all([line.at for line in lines])
        data = b"".join(line.data + b"\n" for line in lines)
        self._plain.update(data)
        self._plain_bytes += len(data)
        self._gzip.write(data)

    def close(self) -> FileFacts:
        """Ends the file."""
        self._gzip.close()
        first, last = self._span.ends
        return FileFacts(
            row_count=self._tree.count,
            size_bytes=self._raw.size,
            plain_bytes=self._plain_bytes,
            sha256_file=self._raw.digest.hexdigest(),
            sha256_plain=self._plain.hexdigest(),
            merkle_root=self._tree.root.hex(),
            min_at=instant_text(first) if first else None,
            max_at=instant_text(last) if last else None,
        )


class FileLine(NamedTuple):
    """A line of a file: the row's id, and the bytes without their end."""

    id: int
    data: bytes


class SegmentReader:
    """Reads a file again and holds it against its manifest while its lines are used.

    What was yielded proves nothing until the iteration has ended without `Damaged`.
    """

    def __init__(self, destination: Destination, manifest: Manifest) -> None:
        """Opens nothing yet."""
        self._destination = destination
        self._manifest = manifest

    def lines(self) -> Iterator[FileLine]:
        """All lines in order. Raises Damaged, at the latest behind the last one; StorageFault."""
        manifest = self._manifest
        plain, tree, seals = sha256(), MerkleTree(), _SealCheck(manifest.all_seals)
        last_id = manifest.first_id - 1
        for block in self._blocks():
            plain.update(b"\n".join((*block, b"")))
            leaves = [self._leaf(data) for data in block]
            tree.extend(leaves)
            for data, leaf in zip(block, leaves, strict=True):
                line = FileLine(_id_of(data), data)
                if not last_id < line.id <= manifest.last_id:
                    raise Damaged(f"row {line.id} does not belong where it stands")
                last_id = line.id
                seals.take(line.id, leaf)
                yield line
        seals.finish()
        found = (plain.hexdigest(), tree.root.hex(), tree.count)
        if found != (manifest.sha256_plain, manifest.merkle_root, manifest.row_count):
            raise Damaged("its content is not what the manifest says")

    def plain_lines(self) -> Iterator[bytes]:
        """The same without ends, held against nothing but the hash of the file: several times as fast."""
        for block in self._blocks():
            yield from block

    def _blocks(self) -> Iterator[list[bytes]]:
        manifest, name = self._manifest, f"{self._manifest.name}{DATA}"
        size = self._destination.size(name)
        if size is None:
            raise Damaged("the file is missing")
        if size != manifest.size_bytes:
            raise Damaged(f"it has {size} bytes instead of {manifest.size_bytes}")
        whole = sha256()
        with self._destination.reading(name) as file:
            yield from _blocks(file, whole.update)
        if whole.hexdigest() != manifest.sha256_file:
            raise Damaged("its bytes are not those that the manifest tells of")

    def _leaf(self, data: bytes) -> bytes:
        if not self._manifest.anonymised:
            return leaf_of(data)
        try:
            return sealed_leaf(data)
        except ValueError as error:
            raise Damaged(f"it has {error}") from None


def _blocks(file: BinaryIO, note: Callable[[bytes], None]) -> Iterator[list[bytes]]:
    """The lines of one gzip member, without their ends; `note` gets all bytes of the file. Raises Damaged."""
    unpack, rest = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), b""
    while data := file.read(_CHUNK):
        note(data)
        while data:
            try:
                rest += unpack.decompress(data, _CHUNK)
            except zlib.error as error:
                raise Damaged(f"it can't be unpacked: {error}") from None
            data = unpack.unconsumed_tail
            *lines, rest = rest.split(b"\n")
            yield lines
            if len(rest) > _LONGEST or unpack.unused_data:
                raise Damaged("it is no file of lines")
    if rest or not unpack.eof:
        raise Damaged("its end is missing")


class _SealCheck:
    """Whether the rows are those that the seals cover."""

    def __init__(self, seals: list[Seal]) -> None:
        self._seals = [seal for seal in seals if seal.row_count]
        self._tree = MerkleTree()
        self._at = 0

    def take(self, id: int, leaf: bytes) -> None:
        while self._at < len(self._seals) and id > self._seals[self._at].last_id:
            self._compare()
        self._tree.add(leaf)

    def finish(self) -> None:
        while self._at < len(self._seals):
            self._compare()
        if self._tree.count:
            raise Damaged("it has rows behind its last seal")

    def _compare(self) -> None:
        seal = self._seals[self._at]
        if self._tree.count != seal.row_count or self._tree.root.hex() != seal.merkle_root:
            raise Damaged(f"rows {seal.first_id} to {seal.last_id} are not those that were sealed")
        self._tree = MerkleTree()
        self._at += 1


def _id_of(data: bytes) -> int:
    """By its place: in front of it are columns that hold no objects. Where something looks like one, by reading all."""
    place = data.find(_ID)
    if place > 0 and data.find(b"{", 1, place) < 0:
        digits = data[place + len(_ID) : data.find(b",", place + len(_ID))]
        if digits.isdigit():
            return int(digits)
    try:
        found = orjson.loads(data)["id"]
    except (ValueError, TypeError, KeyError):
        found = None
    if type(found) is not int:
        raise Damaged("it holds a line that is no row")
    return found


def boots_of(lines: list[Line], into: Intervals) -> None:
    """Notes the numbers of rows of the access log."""
    for line in lines:
        boot_id, seq = _place_of(line.data)
        into.add(boot_id, seq)


def _place_of(data: bytes) -> tuple[str, int]:
    """Process run and number; as `_id_of` finds its own: behind the number there are no objects either."""
    begin, place = data.find(_BOOT), data.rfind(_SEQ)
    if begin > 0 and place > begin and data.find(b"{", 1, begin) < 0 and data.find(b"{", place) < 0:
        boot_id = data[begin + len(_BOOT) : data.find(b'"', begin + len(_BOOT))]
        seq = data[place + len(_SEQ) : data.find(b",", place + len(_SEQ))]
        if boot_id.isalnum() and seq.isdigit():
            return boot_id.decode(), int(seq)
    row = orjson.loads(data)
    return row["boot_id"], row["seq"]
