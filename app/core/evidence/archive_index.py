"""What an archive consists of, by its manifests: which follows which, whose signature covers which."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from app.core.evidence.canonical import STREAMS, Stream
from app.core.evidence.chain import linked_keys
from app.core.evidence.destinations import Destination
from app.core.evidence.findings import Finding, Kind
from app.core.evidence.manifest import DATA, MANIFEST, PARQUET, Manifest, read_manifest
from app.core.evidence.seals import Seal
from app.core.evidence.tombstones import TOMBSTONE


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of a manifest: not its seals, of which there may be many."""

    name: str
    stream: Stream
    first_id: int
    last_id: int
    hash: str
    previous: str | None
    public_key: str | None
    key_id: str | None
    is_whole: bool

    @property
    def is_signed(self) -> bool:
        """Whether it bears a signature that fits; whose, is another question."""
        return self.is_whole and self.public_key is not None


@dataclass(slots=True)
class ArchiveIndex:
    """`handovers`: seals that hand over to another key. `strays`: findings of files that belong to no segment.

    `known`: the keys that are trusted, with those that are linked to them; None where nobody said which.
    """

    other: Stream
    entries: dict[Stream, list[Entry]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    handovers: list[Seal] = field(default_factory=list)
    strays: dict[Stream, list[Finding]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    known: set[str] | None = None

    @classmethod
    def read(
        cls,
        destination: Destination,
        streams: Sequence[Stream],
        trusted: Collection[str],
        handovers: Iterable[Seal],
    ) -> "ArchiveIndex":
        """Reads all manifests, and no file. What bears no stream's name goes to the first one. Raises StorageFault."""
        index = cls(other=streams[0], handovers=list(handovers))
        names = [name.removesuffix(MANIFEST) for name in destination.names(MANIFEST)]
        for name in names:
            index._take(destination, name)
        has_manifest = set(names)
        for suffix in (DATA, TOMBSTONE, PARQUET):
            for name in destination.names(suffix):
                base = name.removesuffix(suffix)
                if base not in has_manifest:
                    index._note("file", base, f"{name} has no manifest")
        for stream in STREAMS:
            index.entries[stream].sort(key=lambda entry: (entry.first_id, entry.last_id))
        if trusted:
            index.known = linked_keys(trusted, index.handovers)
        return index

    def links(self, stream: Stream) -> Iterator[Finding]:
        """Manifests that are missing between others, or were put in others' places."""
        entries = self.entries[stream]
        there = {entry.hash for entry in entries}
        taken: dict[str | None, str] = {}
        for entry in entries:
            if entry.previous is not None and entry.previous not in there:
                what = f"the manifest that was written before it is missing, or was altered: {entry.previous}"
                yield _finding("segment", entry, what)
            if entry.previous in taken:
                what = f"it follows the same manifest as {taken[entry.previous]}"
                yield _finding("segment", entry, what)
            taken.setdefault(entry.previous, entry.name)

    def signatures(self, stream: Stream) -> Iterator[Finding]:
        """Manifests that no trusted key signed, nor a later one that is signed covers by its hash."""
        entries = self.entries[stream]
        must_be_signed = self.known is not None or any(entry.is_signed for entry in entries)
        covered = self.covered(stream)
        for entry in entries:
            if entry.is_signed and self.known is not None and entry.public_key not in self.known:
                yield _finding("bad_signature", entry, f"signed by {entry.key_id}, which is not trusted")
            elif must_be_signed and not entry.is_signed and entry.name not in covered:
                yield _finding("bad_signature", entry, "no signed manifest covers it")

    def covered(self, stream: Stream) -> set[str]:
        """The names of segments whose manifests are signed, or come before one that is."""
        by_hash = {entry.hash: entry for entry in self.entries[stream]}
        found: set[str] = set()
        for entry in self.entries[stream]:
            at: Entry | None = entry
            if not entry.is_signed or (self.known is not None and entry.public_key not in self.known):
                continue
            while at is not None and at.is_whole and at.name not in found:
                found.add(at.name)
                at = by_hash.get(at.previous or "")
        return found

    def _take(self, destination: Destination, name: str) -> None:
        try:
            manifest = read_manifest(destination, name)
        except ValueError as error:
            self._note("manifest", name, str(error))
            return
        self.entries[manifest.stream].append(_entry(manifest))
        self.handovers += [seal for seal in manifest.all_seals if seal.next_public_key]

    def _note(self, kind: Kind, name: str, what: str) -> None:
        stream = next((stream for stream in STREAMS if name.startswith(f"{stream}-")), self.other)
        self.strays[stream].append(Finding(kind, stream, None, None, what, segment=name))


def _entry(manifest: Manifest) -> Entry:
    return Entry(
        name=manifest.name,
        stream=manifest.stream,
        first_id=manifest.first_id,
        last_id=manifest.last_id,
        hash=manifest.manifest_sha256,
        previous=manifest.previous,
        public_key=manifest.public_key,
        key_id=manifest.key_id,
        is_whole=not manifest.faults(),
    )


def _finding(kind: Kind, entry: Entry, what: str) -> Finding:
    return Finding(kind, entry.stream, entry.first_id, entry.last_id, what, segment=entry.name)
