"""Archives and anchors in object stores, over the package obstore: import this module only to open one.

Nothing is ever overwritten. Credentials come from the store's usual environment variables; a store that knows no
conditional puts is told so there too (`AWS_CONDITIONAL_PUT=disabled`).
"""

import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError
from obstore.store import from_url

from app.core.evidence.anchors import AnchorFault, Head
from app.core.evidence.canonical import STREAMS, Stream
from app.core.evidence.destinations import StorageFault, open_file

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Store

_CHUNK = 1 << 20
_PATIENCE = timedelta(seconds=30)
_HEAD = ".head.json"
_UNCONDITIONAL = (NotSupportedError, NotImplementedError)  # what stores that know no conditions raise


class ObjectStore:
    """A Destination in a bucket, or under a prefix of one."""

    def __init__(self, uri: str, store: "Store") -> None:
        """`store`: already at the prefix."""
        self.uri = uri
        self._store = store

    def names(self, suffix: str) -> list[str]:
        """See Destination."""
        with self._told(""):
            found = obstore.list_with_delimiter(self._store)["objects"]
        return sorted(meta["path"] for meta in found if meta["path"].endswith(suffix))

    def size(self, name: str) -> int | None:
        """See Destination."""
        with self._told(name):
            try:
                return int(obstore.head(self._store, name)["size"])
            except FileNotFoundError:
                return None

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """See Destination."""
        with self._told(name):
            pieces = iter(obstore.get(self._store, name).stream(min_chunk_size=_CHUNK))
        with io.BufferedReader(_Pieces(self._told_pieces(name, pieces)), _CHUNK) as file:
            yield file

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """See Destination: from a local draft. An object that is there with another content is a StorageFault."""
        with self._told(name):
            folder = tempfile.TemporaryDirectory(prefix="archive-")
        with folder:
            draft = Path(folder.name) / "draft"
            with open_file(draft, "wb") as file:
                yield file
            with self._told(name):
                self._put(name, draft)

    def remove(self, name: str) -> None:
        """See Destination. What a store keeps locked it refuses to remove: StorageFault, in its words.

        A bucket with versions hides the object behind a marker, and ends its versions by its own rules.
        """
        with self._told(name):
            try:
                obstore.delete(self._store, name)
            except FileNotFoundError:
                return

    def free_bytes(self) -> int | None:
        """See Destination: nobody can tell."""
        return None

    def sweep(self) -> list[str]:
        """See Destination: an object is there whole or not at all, so there are no drafts."""
        return []

    def _put(self, name: str, draft: Path) -> None:
        try:
            obstore.put(self._store, name, draft, mode="create")
        except AlreadyExistsError:
            self._compare(name, draft)
        except _UNCONDITIONAL:  # two writers are kept apart by the lock alone
            if self.size(name) is not None:
                self._compare(name, draft)
            else:
                obstore.put(self._store, name, draft)

    def _compare(self, name: str, draft: Path) -> None:
        """A run that was broken off writes the same once more."""
        with open_file(draft, "rb") as ours, self.reading(name) as theirs:
            if file_digest(ours, "sha256").digest() != file_digest(theirs, "sha256").digest():  # type: ignore[arg-type]  # a BufferedReader
                raise StorageFault(f"{self._place(name)}: another object of this name is there")

    def _place(self, name: str) -> str:
        return f"{self.uri.rstrip('/')}/{name}"

    def _told_pieces(self, name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        with self._told(name):
            yield from pieces

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Faults of the store in its own words, with the object that they are about."""
        try:
            yield
        except (BaseError, OSError) as error:
            raise StorageFault(f"{self._place(name)}: {_words(error)}") from error


class ObjectAnchor:
    """An Anchor that keeps each head as an object of its own, best in a bucket that locks its objects."""

    def __init__(self, uri: str, store: "Store") -> None:
        """`store`: already at the prefix."""
        self._uri = uri
        self._store = store
        self._newest: dict[Stream, int] = dict.fromkeys(STREAMS, 0)

    def newest(self) -> Mapping[Stream, int]:
        """See Anchor. Asks only for what was added since it was last asked."""
        with self._told():
            for stream in STREAMS:
                for path in self._paths(stream, after=self._newest[stream]):
                    self._newest[stream] = max(self._newest[stream], _number(path))
        return dict(self._newest)

    def add(self, heads: Iterable[Head]) -> None:
        """See Anchor."""
        there = self.newest()
        with self._told():
            for head in heads:
                if head.number > there[head.stream]:
                    self._put(_path(head.stream, head.number), head.line())

    def heads(self) -> list[Head]:
        """See Anchor."""
        with self._told():
            return [self._head(path) for stream in STREAMS for path in self._paths(stream, after=0)]

    def _paths(self, stream: Stream, *, after: int) -> list[str]:
        pages = obstore.list(self._store, prefix=stream, offset=_path(stream, after))
        return sorted(meta["path"] for page in pages for meta in page if meta["path"].endswith(_HEAD))

    def _head(self, path: str) -> Head:
        try:
            return Head.read(bytes(obstore.get(self._store, path).bytes()))
        except ValueError:
            raise AnchorFault(f"{self._uri}: {path} is no head of a log") from None

    def _put(self, path: str, data: bytes) -> None:
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError:
            return  # another process was quicker
        except _UNCONDITIONAL:
            obstore.put(self._store, path, data)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise AnchorFault(f"{self._uri}: {_words(error)}") from error


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # what BufferedReader hands over
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def open_object_store(uri: str) -> ObjectStore:
    """The destination of a URI. Raises ValueError for what the store doesn't understand."""
    return ObjectStore(uri, _store(uri))


def open_object_anchor(uri: str) -> ObjectAnchor:
    """The anchor of a URI. Raises ValueError for what the store doesn't understand."""
    return ObjectAnchor(uri, _store(uri))


def _store(uri: str) -> "Store":
    try:
        return from_url(uri, retry_config={"max_retries": 3, "retry_timeout": _PATIENCE})
    except (BaseError, OSError) as error:
        raise ValueError(f"{uri}: {_words(error)}") from None


def _words(error: Exception) -> str:
    """What the store says, without the structure that follows it."""
    return str(error).partition("\n\nDebug source")[0].strip() or type(error).__name__


def _path(stream: Stream, number: int) -> str:
    """Sorts as the numbers do."""
    return f"{stream}/{number:012}{_HEAD}"


def _number(path: str) -> int:
    digits = path.rpartition("/")[2].removesuffix(_HEAD)
    if not digits.isdecimal():
        raise AnchorFault(f"{path} is no head of a log")
    return int(digits)
