"""Which segments a command is about, in the database and among the files."""

from collections.abc import Sequence
from typing import Any

from app.core.errors import NotFound
from app.core.evidence.canonical import instant_of
from app.core.evidence.destinations import Destination
from app.core.evidence.manifest import MANIFEST, Manifest, read_manifest
from app.core.evidence.models import AuditSegment
from app.core.evidence.restoring import LogFile
from app.core.evidence.segment_files import Damaged, SegmentReader
from app.core.evidence.tombstones import read_tombstone
from archive_tool.context import Context


def all_manifests(context: Context, destination: Destination) -> list[Manifest]:
    """Those of the logs that are asked for, in the order of their ids. Raises Damaged."""
    found = []
    for file_name in destination.names(MANIFEST):
        try:
            found.append(read_manifest(destination, file_name.removesuffix(MANIFEST)))
        except ValueError as error:
            raise Damaged(f"{file_name}: {error}") from None
    wanted = [manifest for manifest in found if manifest.stream in context.streams]
    return sorted(wanted, key=lambda manifest: (manifest.stream, manifest.first_id))


def is_gone(destination: Destination, manifest: Manifest) -> bool:
    """Whether its file was removed because it had been kept long enough."""
    return read_tombstone(destination, manifest.name) is not None


def chosen_segments(context: Context, segments: Sequence[AuditSegment]) -> list[AuditSegment]:
    """The segments that are chosen by name, id or time; all of them without a choice. Raises NotFound."""
    names = set(context.options.segment)
    if unknown := names - {text for one in segments for text in (one.name, str(one.id))}:
        raise NotFound(f"There is no segment {min(unknown)}.")
    since, until = context.options.since, context.options.until
    return [
        one
        for one in segments
        if (not names or names & {one.name, str(one.id)})
        and (since is None or one.max_at is None or one.max_at >= since)
        and (until is None or one.min_at is None or one.min_at < until)
    ]


def chosen_manifests(context: Context, manifests: Sequence[Manifest]) -> list[Manifest]:
    """The same among manifests, which have no ids. Raises NotFound."""
    names = set(context.options.segment)
    if unknown := names - {manifest.name for manifest in manifests}:
        raise NotFound(f"There is no segment {min(unknown)}.")
    since, until = context.options.since, context.options.until
    return [
        one
        for one in manifests
        if (not names or one.name in names)
        and (since is None or one.max_at is None or instant_of(one.max_at) >= since)
        and (until is None or one.min_at is None or instant_of(one.min_at) < until)
    ]


def copy_rows(context: Context, file: LogFile, destination: Destination, manifest: Manifest) -> int:
    """The rows of a segment into a file of its own, after all of them have been proved. Raises Damaged."""
    reader = SegmentReader(destination, manifest)
    for _ in reader.lines():
        pass
    rows = 0
    for count in file.add(manifest.stream, reader.lines(), context.options.batch):
        context.screen.progress("restore", manifest.name, count, manifest.row_count)
        rows += count
    return rows


def manifest_told(destination: Destination, manifest: Manifest) -> dict[str, Any]:
    """A manifest for programs, with what became of its file."""
    state = "expired" if is_gone(destination, manifest) else "archived"
    names = ("name", "stream", "first_id", "last_id", "row_count", "min_at", "max_at", "size_bytes")
    hashes = ("sha256_file", "sha256_plain", "manifest_sha256", "key_id", "anonymised")
    return {"state": state, **{name: getattr(manifest, name) for name in (*names, *hashes)}}
