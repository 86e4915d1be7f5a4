"""Archives made by hand: rows, seals and manifests without a database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.evidence.anonymise import anonymised
from app.core.evidence.canonical import FORMS, NEWEST_FORM, Line, Span, Stream, encoded, instant_text
from app.core.evidence.destinations import Destination
from app.core.evidence.manifest import DATA, MANIFEST, Manifest
from app.core.evidence.merkle import MerkleTree, leaf_of
from app.core.evidence.seals import NO_HASH, Seal
from app.core.evidence.segment_files import SegmentWriter
from app.core.evidence.signing import SealKey

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def new_key() -> SealKey:
    return SealKey(Ed25519PrivateKey.generate())


def at(id: int) -> datetime:
    """Ten rows a day, and every seventh one late: ids are not in the order of time."""
    return START + DAY * (id / 10 - (2 if id % 7 == 0 else 0)) + timedelta(microseconds=1)


def row(stream: Stream, id: int) -> dict[str, Any]:
    common = {
        "id": id,
        "occurred_at": instant_text(at(id)),
        "actor_id": f"actor-{id % 3}",
        "actor_type": "user",
        "client_ip": f"192.0.2.{id % 250}",
        "request_id": f"request-{id // 2}",
        "xid": None,
    }
    if stream == "access":
        told = {
            "boot_id": "b" * 32,
            "seq": id,
            "peer_ip": "2001:db8:1:2::9",
            "forwarded_for": "198.51.100.9, 192.0.2.1",
            "duration_us": 1000 + id,
            "is_probe": id % 5 == 0,
            "query": {"q": "two words"},
            "method": "GET",
            "path": "/things",
            "status": 200,
            "outcome": "ok",
        }
    else:
        told = {
            "tx_id": str(UUID(int=id)),
            "tx_seq": 1,
            "action": "UPDATE",
            "entity": "things",
            "entity_id": f'key "{id % 7}" é',
            "changed": ["name"],
            # What is asked for may stand inside of images too.
            "old": {"actor_id": f"actor-{(id + 1) % 3}", "name": "before"},
            "new": {"actor_id": f"actor-{(id + 2) % 3}", "name": "after"},
            "origin": "request",
            "truncated": False,
            "redacted": False,
        }
    return dict.fromkeys(FORMS[NEWEST_FORM][stream]) | common | told


def line_of(told: dict[str, Any]) -> Line:
    return Line(told["id"], told["occurred_at"], encoded(told))


def lines(stream: Stream, first: int, last: int) -> list[Line]:
    return [line_of(row(stream, id)) for id in range(first, last + 1)]


@dataclass(slots=True)
class MadeArchive:
    """Grows seal by seal and segment by segment."""

    destination: Destination
    key: SealKey | None = None
    stream: Stream = "changes"
    anonymise: bool = False
    last_seal: Seal | None = None
    manifests: list[Manifest] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def seal(self, rows: Sequence[Line], *, successor: SealKey | None = None) -> Seal:
        """The next seal over rows; without any, an empty one."""
        return self.seal_batches([rows], successor=successor)

    def seal_batches(self, batches: Iterable[Sequence[Line]], *, successor: SealKey | None = None) -> Seal:
        tree, span, last = MerkleTree(), Span(), self.last_seal
        first_id = last.last_id + 1 if last else 1
        last_id = first_id - 1
        for line in chain.from_iterable(batches):
            tree.add(leaf_of(line.data))
            span.take(line.at)
            last_id = line.id
        made = Seal(
            stream=self.stream,
            number=last.number + 1 if last else 1,
            form=NEWEST_FORM,
            first_id=first_id,
            last_id=last_id,
            row_count=tree.count,
            min_at=span.ends[0],
            max_at=span.ends[1],
            merkle_root=tree.root.hex(),
            leaves_hash=NO_HASH,
            prev_hash=last.seal_hash if last else NO_HASH,
            sealed_at=START + 1000 * DAY,
        )
        self.last_seal = made.signed(self.key, successor)
        self.key = successor or self.key
        return self.last_seal

    def add(self, *counts: int, successor: SealKey | None = None) -> Manifest:
        """One more segment, with a seal over each of these counts of rows. The last one hands over to `successor`."""
        rows: list[Line] = []
        seals = []
        for place, count in enumerate(counts):
            first = (self.last_seal.last_id if self.last_seal else 0) + 1
            covered = lines(self.stream, first, first + count - 1)
            is_last = place == len(counts) - 1
            seals.append(self.seal(covered, successor=successor if is_last else None))
            rows += covered
        return self.write(rows, seals)

    def write(self, rows: Sequence[Line], seals: Sequence[Seal], **changes: Any) -> Manifest:
        """Both files of a segment."""
        kept = [anonymised(line) for line in rows] if self.anonymise else list(rows)
        self.lines += kept
        return self.write_batches([kept], seals, **changes)

    def write_batches(self, batches: Iterable[list[Line]], seals: Sequence[Seal], **changes: Any) -> Manifest:
        name = f"{self.stream}-{seals[0].first_id:012}-{seals[-1].last_id:012}"
        with self.destination.writing(f"{name}{DATA}") as file:
            writer = SegmentWriter(file, is_anonymised=self.anonymise)
            for batch in batches:
                writer.add(batch)
            facts = writer.close()
        made = Manifest(
            stream=self.stream,
            name=name,
            form=NEWEST_FORM,
            columns=FORMS[NEWEST_FORM][self.stream],
            first_id=seals[0].first_id,
            last_id=seals[-1].last_id,
            row_count=facts.row_count,
            min_at=facts.min_at,
            max_at=facts.max_at,
            size_bytes=facts.size_bytes,
            plain_bytes=facts.plain_bytes,
            sha256_file=facts.sha256_file,
            sha256_plain=facts.sha256_plain,
            merkle_root=facts.merkle_root,
            boots={},
            seals=tuple(seal.told() for seal in seals),
            previous=self.manifests[-1].manifest_sha256 if self.manifests else None,
            schema_rev="abc",
            tool="tests",
            run_id=str(UUID(int=1)),
            created_at=instant_text(START),
            anonymised=self.anonymise,
        )
        made = replace(made, **changes).signed(self.key)
        self.put_manifest(made)
        self.manifests.append(made)
        return made

    def put_manifest(self, manifest: Manifest) -> None:
        with self.destination.writing(f"{manifest.name}{MANIFEST}") as file:
            file.write(manifest.data())


def read(destination: Destination, name: str) -> bytes:
    with destination.reading(name) as file:
        return file.read()
