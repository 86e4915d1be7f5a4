"""Questions to an archive: the lines that fit, straight out of the files, without a database."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from app.core.evidence.canonical import Stream, instant_text
from app.core.evidence.destinations import Destination
from app.core.evidence.manifest import MANIFEST, Manifest, read_manifest
from app.core.evidence.segment_files import Damaged, SegmentReader
from app.core.evidence.tombstones import read_tombstone

_TEXTS = ("actor_id", "entity", "entity_id", "request_id")
_NEVER = "~"  # sorts behind all instants


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows of one log that fit all that is given. `since` is inclusive, `until` exclusive; both aware."""

    stream: Stream
    actor_id: str | None = None
    entity: str | None = None
    entity_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    request_id: str | None = None


def query(destination: Destination, wanted: Wanted) -> Iterator[bytes]:
    """The lines that fit, without their ends, in the order of their ids.

    Files that can't have any by their time are not opened; what expired is left out. Nothing that was yielded is
    proved before the end. Raises Damaged for a file or a manifest that is not whole, StorageFault.
    """
    fits = _Filter(wanted)
    for manifest in _manifests(destination, fits):
        if _is_expired(destination, manifest):
            continue
        try:
            yield from filter(fits.accepts, SegmentReader(destination, manifest).plain_lines())
        except Damaged as damage:
            raise Damaged(f"{manifest.name}: {damage}") from None


class _Filter:
    """What a line must have: its bytes are looked at first, because most lines needn't be parsed then."""

    def __init__(self, wanted: Wanted) -> None:
        self.stream = wanted.stream
        self._since = instant_text(wanted.since.astimezone(UTC)) if wanted.since else ""
        self._until = instant_text(wanted.until.astimezone(UTC)) if wanted.until else _NEVER
        self._has_times = wanted.since is not None or wanted.until is not None
        asked = {name: getattr(wanted, name) for name in _TEXTS}
        self._texts = {name: text for name, text in asked.items() if text is not None}
        # As they stand in lines, which have no spaces; inside of `old` and `new` they may stand too.
        self._needles = [
            b"".join((orjson.dumps(name), b":", orjson.dumps(text))) for name, text in self._texts.items()
        ]

    def may_have(self, manifest: Manifest) -> bool:
        """Whether a file is of the log, and its time range meets the one that is asked for."""
        first, last = manifest.min_at or _NEVER, manifest.max_at or ""
        meets = not self._has_times or (last >= self._since and first < self._until)
        return manifest.stream == self.stream and meets

    def accepts(self, line: bytes) -> bool:
        """Whether a line fits. Raises Damaged for what is no row."""
        if not all(needle in line for needle in self._needles):
            return False
        if not (self._needles or self._has_times):
            return True
        row = _row(line)
        if any(row.get(name) != text for name, text in self._texts.items()):
            return False
        at = row.get("occurred_at")
        return not self._has_times or (isinstance(at, str) and self._since <= at < self._until)


def _manifests(destination: Destination, fits: _Filter) -> list[Manifest]:
    """Those that are asked for, in the order of their ids; without their seals, of which there may be many."""
    found = []
    for file_name in destination.names(MANIFEST):
        name = file_name.removesuffix(MANIFEST)
        try:
            manifest = read_manifest(destination, name)
        except ValueError as error:
            raise Damaged(f"{file_name}: {error}") from None
        if faults := manifest.faults():
            raise Damaged(f"{file_name}: {faults[0]}")
        if fits.may_have(manifest):
            found.append(replace(manifest, seals=(), boots={}))
    return sorted(found, key=lambda manifest: manifest.first_id)


def _is_expired(destination: Destination, manifest: Manifest) -> bool:
    try:
        tombstone = read_tombstone(destination, manifest.name)
    except ValueError as error:
        raise Damaged(f"{manifest.name}: {error}") from None
    return tombstone is not None and not tombstone.faults_for(manifest, None)


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise Damaged("it holds a line that is no row")
    return row
