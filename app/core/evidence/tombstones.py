"""What is left of a file that was kept long enough: who removed it, when, why, and what it was."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from app.core.evidence.canonical import Stream, instant_text
from app.core.evidence.destinations import Destination, StorageFault
from app.core.evidence.documents import SignedDocument
from app.core.evidence.manifest import DATA, PARQUET, Manifest
from app.core.evidence.signing import SealKey

TOMBSTONE = ".expired.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone(SignedDocument):
    """Of one segment, whose manifest stays. `manifest_sha256`: which manifest that is; `expired_by`: the actor."""

    NOUN: ClassVar[str] = "tombstone"
    HASH: ClassVar[str] = "tombstone_sha256"

    stream: Stream
    name: str
    manifest_sha256: str
    expired_at: str
    expired_by: str
    reason: str
    tombstone_sha256: str = ""

    def faults_for(self, manifest: Manifest, known: Collection[str] | None) -> list[str]:
        """Why it does not speak for this manifest, in words; nothing if it does.

        `known`: the public keys that are trusted; None where nobody says which. Without them an unsigned tombstone
        speaks for an unsigned manifest only.
        """
        found = self.faults()
        if (self.stream, self.name, self.manifest_sha256) != (
            manifest.stream,
            manifest.name,
            manifest.manifest_sha256,
        ):
            found.append("the tombstone is of another segment")
        if self.signature is None and (known is not None or manifest.signature is not None):
            found.append("the tombstone is not signed")
        elif known is not None and self.public_key not in known:
            found.append(f"the tombstone is signed by {self.key_id}, which is not trusted")
        return found


def expire(
    destination: Destination, manifest: Manifest, *, key: SealKey | None, at: datetime, by: str, reason: str
) -> Tombstone:
    """Removes a segment's file and its query copy; the manifest stays, with a tombstone beside it.

    May be repeated: a tombstone that is there already stays. Raises StorageFault, also where the store refuses; then
    the file is still there, and still counts.
    """
    tombstone = _fitting(destination, manifest)
    if tombstone is None:
        tombstone = Tombstone(
            stream=manifest.stream,
            name=manifest.name,
            manifest_sha256=manifest.manifest_sha256,
            expired_at=instant_text(at),
            expired_by=by,
            reason=reason,
        ).signed(key)
        with destination.writing(f"{manifest.name}{TOMBSTONE}") as file:
            file.write(tombstone.data())
    for suffix in (DATA, PARQUET):
        destination.remove(f"{manifest.name}{suffix}")
    return tombstone


def read_tombstone(destination: Destination, name: str) -> Tombstone | None:
    """The tombstone of a segment, None if there is none. Raises ValueError for what is none; StorageFault."""
    file_name = f"{name}{TOMBSTONE}"
    if destination.size(file_name) is None:
        return None
    with destination.reading(file_name) as file:
        return Tombstone.parse(file.read())


def _fitting(destination: Destination, manifest: Manifest) -> Tombstone | None:
    try:
        tombstone = read_tombstone(destination, manifest.name)
        faults = tombstone.faults_for(manifest, None) if tombstone else []
    except ValueError as error:
        faults = [str(error)]
    if faults:
        raise StorageFault(f"{destination.uri}: {manifest.name}{TOMBSTONE}: {faults[0]}")
    return tombstone
