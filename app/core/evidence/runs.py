"""One run over an archive: what it is called, how it paces itself, and how it ends before its time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from app.core.evidence.models import AuditSegment
from app.core.evidence.signing import SealKey
from app.core.identifiers import uuid7

BATCH = 5_000


class VerificationFailed(Exception):
    """What is archived, or about to be, is not what was sealed. Nothing of it is pruned."""


class Interrupted(Exception):
    """Somebody asked to stop; everything is as it was after the last step."""


def _nothing(_: str) -> None:
    """For whoever doesn't want to know."""


@dataclass(slots=True)
class Run:
    """One run of an archive's command.

    `tool`: the program and its version. `step` is told the name of each step before it is taken, `rows` of rows that
    are done. `is_over` is asked between two steps. `anonymise`: new files have networks in place of addresses.
    `parquet`: they get a copy for queries beside them.
    """

    tool: str
    key: SealKey | None = None
    id: UUID = field(default_factory=uuid7)
    batch: int = BATCH
    pause_seconds: float = 0.002
    anonymise: bool = False
    parquet: bool = False
    step: Callable[[str], None] = _nothing
    rows: Callable[[str, AuditSegment, int], None] = lambda _what, _segment, _count: None
    is_over: Callable[[], bool] = lambda: False

    def proceed(self, name: str) -> None:
        """On to the next step. Raises Interrupted."""
        self.step(name)
        if self.is_over():
            raise Interrupted
