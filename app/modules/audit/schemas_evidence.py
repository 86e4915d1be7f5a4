"""What is asked and told of the proof of the logs: verification, seals, segments of the archive."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.core.evidence.canonical import Stream
from app.core.evidence.findings import Kind
from app.core.pagination import PLAIN_DIGITS, RecordQuery
from app.modules.audit.schemas import LogPage, Paging

Number = Annotated[int, Field(ge=1), PLAIN_DIGITS]
State = Literal["planned", "written", "verified", "pruned", "restoring", "restored", "expired"]


class VerifyQuery(BaseModel):
    """Which seals of a log to check, by their numbers, both ends included; all if not said."""

    model_config = ConfigDict(frozen=True)

    stream: Stream
    from_seal: Number = 1
    to_seal: Number | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.to_seal is not None and self.to_seal < self.from_seal:
            raise ValueError("to_seal must not lie before from_seal")
        return self


class LostNumbers(BaseModel):
    """Numbers of a process run that no row of the access log has; both ends included."""

    boot_id: str
    first: Annotated[int, Field(alias="from")]
    last: Annotated[int, Field(alias="to")]


class UnstoppedRun(BaseModel):
    """A process run whose last row does not say that it stopped: it runs, or it was killed."""

    boot_id: str
    last_seq: int


class FindingRead(BaseModel):
    """Something that is not as it was sealed. `ids`: the rows, where they are known; the first hundred of them."""

    kind: Kind
    stream: Stream
    first_id: int | None
    last_id: int | None
    what: str
    seal: int | None
    segment: str | None
    ids: list[int]


class Verification(BaseModel):
    """Whether a log is as it was sealed. `complete` is false where there is more to check than this call did.

    `signatures`: `checked` against the key of this server, `unchecked` where it has none, `none` where no seal is
    signed. `anchor`: `unreadable` where this server can't ask it, as standard output. `lost_seq` and `without_stop`
    tell of the access log's gaps, which crashes leave: they make nothing false.
    """

    ok: bool
    stream: Stream
    complete: bool
    checked_rows: int
    seals: int
    unsealed_rows: int
    oldest_unsealed_s: float | None
    signatures: Literal["checked", "unchecked", "none"]
    anchor: Literal["checked", "unreadable", "none"]
    lost_seq: list[LostNumbers]
    without_stop: list[UnstoppedRun]
    findings: list[FindingRead]


class SealQuery(Paging):
    """A page of the seals, of one log or of both."""

    stream: Stream | None = None


class SealRow(BaseModel):
    """A link of a log's chain. Hashes, keys and signatures are hexadecimal digits.

    `seal_hash` is the SHA-256 of the canonical JSON of all the others but `id`, `key_id` and the signatures.
    """

    id: int
    stream: Stream
    number: int
    form: int
    first_id: int
    last_id: int
    row_count: int
    min_at: datetime | None
    max_at: datetime | None
    merkle_root: str
    leaves_hash: str
    prev_hash: str
    sealed_at: datetime
    public_key: str | None
    next_public_key: str | None
    seal_hash: str
    key_id: str | None
    signature: str | None
    next_signature: str | None


class SealPage(LogPage):
    """A page of seals."""

    items: list[SealRow]


class SegmentQuery(RecordQuery):
    """Filters and order of the list of segments."""

    sortable: ClassVar[tuple[str, ...]] = ("created_at", "updated_at", "first_id", "max_at")

    stream: Stream | None = None
    state: State | None = None


class SegmentSummary(BaseModel):
    """A range of a log that is archived, or about to be; what its file and its manifest hash to.

    `state`: `planned`, `written`, `verified` (its rows may be removed), `pruned` (they are, but for `held_count`),
    `restoring`, `restored` (they are back), `expired` (the file is gone too).
    """

    id: UUID
    stream: str
    state: str
    name: str
    uri: str
    first_id: int
    last_id: int
    first_seal: int
    last_seal: int
    row_count: int
    held_count: int
    min_at: datetime | None
    max_at: datetime | None
    size_bytes: int | None
    sha256_plain: str | None
    sha256_file: str | None
    manifest_sha256: str | None
    run_id: UUID
    created_at: datetime
    updated_at: datetime
    written_at: datetime | None
    verified_at: datetime | None
    pruned_at: datetime | None
    expired_at: datetime | None
