"""What stands beside a file of the archive: what is in it, by which seals it is covered, and a signature over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from app.core.evidence.canonical import Stream
from app.core.evidence.destinations import Destination
from app.core.evidence.documents import FORMAT, SignedDocument
from app.core.evidence.seals import Seal

__all__ = ["DATA", "FORMAT", "MANIFEST", "PARQUET", "Manifest", "read_manifest"]

DATA, MANIFEST, PARQUET = ".jsonl.gz", ".manifest.json", ".parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(SignedDocument):
    """Of one segment. Hashes and keys are hexadecimal digits; instants are texts as in the lines.

    `previous`: the hash of the manifest before it in its stream, None for the first. `size_bytes`, `sha256_file`: of
    the compressed file; `plain_bytes`, `sha256_plain`: of its lines. `merkle_root`: over the rows' leaves, of an
    anonymised file too. `boots`: the numbers of the access log in it, by process run.
    """

    NOUN: ClassVar[str] = "manifest"
    HASH: ClassVar[str] = "manifest_sha256"

    stream: Stream
    name: str
    form: int
    columns: tuple[str, ...]
    first_id: int
    last_id: int
    row_count: int
    min_at: str | None
    max_at: str | None
    size_bytes: int
    plain_bytes: int
    sha256_file: str
    sha256_plain: str
    merkle_root: str
    boots: Mapping[str, Sequence[Sequence[int]]]
    seals: tuple[Mapping[str, Any], ...]
    previous: str | None
    schema_rev: str
    tool: str
    run_id: str
    created_at: str
    anonymised: bool = False
    manifest_sha256: str = ""

    @property
    def all_seals(self) -> list[Seal]:
        """The covering seals, in their order. Raises ValueError."""
        return [_seal(told) for told in self.seals]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the file. Raises ValueError for what is no manifest, or not written as this program writes it."""
        found = super(Manifest, cls).parse(data)
        _ = found.all_seals
        return found


def read_manifest(destination: Destination, name: str) -> Manifest:
    """The manifest of a segment. Raises ValueError for what is none, or is that of another; StorageFault."""
    with destination.reading(f"{name}{MANIFEST}") as file:
        found = Manifest.parse(file.read())
    if found.name != name:
        raise ValueError(f"it is the manifest of {found.name}")
    return found


def _seal(told: Mapping[str, Any]) -> Seal:
    found = Seal.of(told)
    if found.told() != told:
        raise ValueError("a seal is not written as seals are")
    return found
