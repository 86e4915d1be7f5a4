"""What verification finds, and what it says in the end."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from app.core.evidence.canonical import Stream

Kind = Literal[
    "root_mismatch",
    "count",
    "missing_seal",
    "bad_signature",
    "chain",
    "anchor",
    "segment",
    "file",
    "manifest",
]
_MOST_IDS = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was sealed. `what` says it in words; `ids`: the rows, where they are known."""

    kind: Kind
    stream: Stream
    first_id: int | None
    last_id: int | None
    what: str
    seal: int | None = None
    segment: str | None = None
    ids: tuple[int, ...] = ()

    def told(self) -> dict[str, Any]:
        """As JSON has it; of many ids the first hundred."""
        return {**asdict(self), "ids": list(self.ids[:_MOST_IDS])}


@dataclass(slots=True)
class Report:
    """The outcome for one stream. `complete` is false where there was more to check than was asked for.

    `signatures`: `checked` against keys that are trusted, `unchecked` where none was given, `none` where nothing is
    signed. `anchor`: `unreadable` where it can't be asked. `lost_seq`: numbers of the access log that are in no row.
    `without_stop`: process runs whose last row does not say that they stopped: they run, or were killed, and then up
    to a quarter of a second is missing at their end.
    """

    stream: Stream
    complete: bool = True
    checked_rows: int = 0
    seals: int = 0
    unsealed_rows: int = 0
    oldest_unsealed_s: float | None = None
    signatures: Literal["checked", "unchecked", "none"] = "none"
    anchor: Literal["checked", "unreadable", "none"] = "none"
    lost_seq: list[dict[str, Any]] = field(default_factory=list)
    without_stop: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all that was checked is as it was sealed. Lost rows of a crash are no forgery."""
        return not self.findings

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        values = {name: getattr(self, name) for name in type(self).__slots__}
        return {"ok": self.ok, **values, "findings": [finding.told() for finding in self.findings]}
