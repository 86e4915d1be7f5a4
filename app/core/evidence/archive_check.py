"""Verifies a whole archive without a database: manifests, what links them, seals, signatures, and every file.

What an archive can't show by itself is that its newest segments were taken away: the database and the anchor do.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.core.evidence.archive_index import ArchiveIndex, Entry
from app.core.evidence.canonical import FORMS, STREAMS, Stream, instant_text
from app.core.evidence.chain import Chain
from app.core.evidence.destinations import Destination
from app.core.evidence.findings import Finding, Kind
from app.core.evidence.manifest import DATA, Manifest, read_manifest
from app.core.evidence.seals import Seal
from app.core.evidence.segment_files import Damaged, SegmentReader
from app.core.evidence.tombstones import read_tombstone

_ROWS_AT_ONCE = 5_000


@dataclass(slots=True)
class ArchiveReport:
    """The outcome for one stream. `expired`: segments whose files were removed by command, with tombstones.

    `anonymised`: segments whose lines were changed before they were archived: count, order and seals verify by the
    leaves that the lines carry, the contents don't prove themselves. `absent`: ranges between segments that no
    manifest here tells of: they stayed in the database, or lie in another place. `signatures`: `checked` against keys
    that are trusted, `unchecked` where none was given, `none` where nothing is signed.
    """

    stream: Stream
    segments: int = 0
    checked_rows: int = 0
    seals: int = 0
    signatures: Literal["checked", "unchecked", "none"] = "none"
    expired: list[str] = field(default_factory=list)
    anonymised: list[str] = field(default_factory=list)
    absent: list[dict[str, int]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all that is there is as it was archived."""
        return not self.findings

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        values = {name: getattr(self, name) for name in type(self).__slots__}
        return {"ok": self.ok, **values, "findings": [finding.told() for finding in self.findings]}


def check_archive(
    destination: Destination,
    *,
    streams: Sequence[Stream] = STREAMS,
    trusted: Collection[str] = (),
    handovers: Iterable[Seal] = (),
    on_row_count: Callable[[int], None] | None = None,
) -> list[ArchiveReport]:
    """One report for each stream.

    `trusted`: public keys, 64 hexadecimal digits each; with none, signatures are held against the keys that are named
    beside them. `handovers`: seals that hand over to another key and aren't archived yet. `on_row_count` is told how
    many rows were read since it was told last.

    Nothing that is damaged raises; StorageFault does, where a place can't be read. Memory doesn't grow with the rows.
    """
    index = ArchiveIndex.read(destination, streams, trusted, handovers)
    return [_StreamCheck(destination, index, stream, trusted, on_row_count).run() for stream in streams]


class _StreamCheck:
    """One stream, from its oldest row on."""

    def __init__(
        self,
        destination: Destination,
        index: ArchiveIndex,
        stream: Stream,
        trusted: Collection[str],
        on_row_count: Callable[[int], None] | None,
    ) -> None:
        self._destination = destination
        self._index = index
        self._entries = index.entries[stream]
        self._tell = on_row_count or (lambda _: None)
        self._report = ArchiveReport(stream)
        self._chain = Chain(stream, trusted=trusted, handovers=index.handovers)
        self._told_of_chain = 0

    def run(self) -> ArchiveReport:
        """The whole."""
        report, stream = self._report, self._report.stream
        report.findings += self._index.strays[stream]
        report.findings += self._index.links(stream)
        report.findings += self._index.signatures(stream)
        for entry in self._entries:
            self._check(entry)
        # What a signed manifest covers needs no signed seal behind it.
        is_covered = len(self._index.covered(stream)) == len(self._entries)
        self._chain.finish(reaches_head=not is_covered)
        self._take_from_chain(None)
        report.segments, report.seals = len(self._entries), self._chain.count
        is_signed = self._chain.is_signed or any(entry.public_key for entry in self._entries)
        if is_signed:
            report.signatures = "unchecked" if self._index.known is None else "checked"
        return report

    def _check(self, entry: Entry) -> None:
        try:
            manifest = read_manifest(self._destination, entry.name)
        except ValueError as error:  # it was read before: somebody is writing here
            self._note("manifest", entry, str(error))
            return
        for what in (*manifest.faults(), *_contradictions(manifest)):
            self._note("manifest", entry, what)
        self._follow(manifest)
        if manifest.anonymised:
            self._report.anonymised.append(entry.name)
        if self._destination.size(f"{entry.name}{DATA}") is None:
            self._check_tombstone(entry, manifest)
        else:
            self._check_file(entry, manifest)

    def _follow(self, manifest: Manifest) -> None:
        """The covering seals. Where earlier ones aren't in this archive, the walk begins anew."""
        seals, last = manifest.all_seals, self._chain.last
        number, last_id = (last.number, last.last_id) if last else (0, 0)
        if seals and seals[0].number > number + 1 and seals[0].first_id > last_id:
            if seals[0].first_id > last_id + 1:
                self._report.absent.append({"first_id": last_id + 1, "last_id": seals[0].first_id - 1})
            self._chain.last = _stand_in(seals[0])
        for seal in seals:
            self._chain.follow(seal)
        self._take_from_chain(manifest.name)

    def _check_file(self, entry: Entry, manifest: Manifest) -> None:
        count = 0
        try:
            for count, _ in enumerate(SegmentReader(self._destination, manifest).lines(), 1):
                if count % _ROWS_AT_ONCE == 0:
                    self._tell(_ROWS_AT_ONCE)
        except Damaged as damage:
            self._note("file", entry, str(damage))
        self._tell(count % _ROWS_AT_ONCE)
        self._report.checked_rows += count

    def _check_tombstone(self, entry: Entry, manifest: Manifest) -> None:
        try:
            tombstone = read_tombstone(self._destination, entry.name)
        except ValueError as error:
            self._note("file", entry, f"the file is missing, and beside it: {error}")
            return
        if tombstone is None:
            self._note("file", entry, "the file is missing")
            return
        faults = tombstone.faults_for(manifest, self._index.known)
        if not faults:
            self._report.expired.append(entry.name)
        for what in faults:
            self._note("file", entry, f"the file is missing, and {what}")

    def _take_from_chain(self, name: str | None) -> None:
        new = self._chain.findings[self._told_of_chain :]
        self._report.findings += [replace(finding, segment=name) for finding in new]
        self._told_of_chain += len(new)

    def _note(self, kind: Kind, entry: Entry, what: str) -> None:
        place = (self._report.stream, entry.first_id, entry.last_id)
        self._report.findings.append(Finding(kind, *place, what, segment=entry.name))


def _stand_in(seal: Seal) -> Seal:
    """In the place of the seal before, which isn't here."""
    return replace(
        seal,
        number=seal.number - 1,
        last_id=seal.first_id - 1,
        seal_hash=seal.prev_hash,
        next_public_key=None,
    )


def _contradictions(manifest: Manifest) -> Iterator[str]:
    """Where a manifest says one thing and its seals another."""
    seals = manifest.all_seals
    if manifest.columns != FORMS.get(manifest.form, {}).get(manifest.stream):
        yield "its columns are not those of its form"
    if not seals:
        yield "no seals cover it"
        return
    if any(seal.form != manifest.form for seal in seals):
        yield "its form is not that of its seals"
    if (manifest.first_id, manifest.last_id) != (seals[0].first_id, seals[-1].last_id):
        yield "its range is not that of its seals"
    if manifest.row_count != sum(seal.row_count for seal in seals):
        yield "its count is not that of its seals"
    first = min((seal.min_at for seal in seals if seal.min_at), default=None)
    last = max((seal.max_at for seal in seals if seal.max_at), default=None)
    told = (first and instant_text(first), last and instant_text(last))
    if (manifest.min_at, manifest.max_at) != told:
        yield "its times are not those of its seals"
