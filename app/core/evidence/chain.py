"""Follows the seals of one log from link to link: whether each is whole, signed, and leads to the next."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from app.core.evidence.canonical import FORMS, Stream
from app.core.evidence.findings import Finding
from app.core.evidence.seals import NO_HASH, Seal


class _Run(NamedTuple):
    """The first and the last of seals that have something in common."""

    first: Seal
    last: Seal


class Chain:
    """Takes the seals of a stream in their order; `findings` grows on the way, `finish` says what the end shows."""

    def __init__(
        self,
        stream: Stream,
        *,
        trusted: Collection[str] = (),
        handovers: Iterable[Seal] = (),
        before: Seal | None = None,
    ) -> None:
        """`trusted`: public keys; with none, signatures are held against the keys that the seals name themselves.

        `handovers`: all seals of the stream that hand over to another key. `before`: the seal that comes before the
        first one, where the walk doesn't begin at the beginning.
        """
        self.findings: list[Finding] = []
        self.count = 0
        self.last: Seal | None = before
        self._stream = stream
        self._trusted = frozenset(trusted)
        self._handovers = [seal for seal in handovers if _is_handover(seal)]
        self._used: dict[str, _Run] = {}
        self._unsigned: _Run | None = None
        self._retired: set[str] = set()
        self._expected = _successor(before) if before else None

    def follow(self, seal: Seal) -> None:
        """The next seal. What is wrong with it becomes a finding; the walk goes on from it as it is."""
        self.count += 1
        self.findings += [
            Finding("chain", *self._place(seal), what, seal.number) for what in self._links(seal)
        ]
        self.findings += [
            Finding("bad_signature", *self._place(seal), what, seal.number) for what in self._signature(seal)
        ]
        number, first = (self.last.number, self.last.last_id + 1) if self.last else (0, 1)
        if missing := seal.number - number - 1:
            what = f"{missing} seals before it are missing" if missing > 0 else "it stands in a wrong place"
            self.findings.append(
                Finding("missing_seal", self._stream, first, seal.first_id - 1, what, seal.number)
            )
        self._succeed(seal)
        self.last = seal

    def finish(self, *, reaches_head: bool = True) -> list[Finding]:
        """All findings, with what only the whole shows: keys that nobody trusts, an end that nobody signed."""
        if self._trusted:
            known = linked_keys(self._trusted, self._handovers)
            for public, run in self._used.items():
                if public not in known:
                    self.findings.append(
                        self._range(run, f"signed by {run.first.key_id}, which is not trusted")
                    )
            if reaches_head and self._unsigned:
                self.findings.append(self._range(self._unsigned, "no signed seal covers it"))
        return self.findings

    @property
    def is_signed(self) -> bool:
        """Whether any seal bears a signature."""
        return bool(self._used)

    def _place(self, seal: Seal) -> tuple[Stream, int, int]:
        return self._stream, seal.first_id, seal.last_id

    def _range(self, run: _Run, what: str) -> Finding:
        first, last = run.first.first_id, run.last.last_id
        return Finding("bad_signature", self._stream, first, last, what, run.first.number)

    def _links(self, seal: Seal) -> Iterator[str]:
        previous = self.last
        if seal.stream != self._stream or seal.form not in FORMS:
            yield "the seal is of another log or of an unknown form"
        if seal.digest() != seal.seal_hash:
            yield "the seal was altered"
        if seal.prev_hash != (previous.seal_hash if previous else NO_HASH):
            yield "it does not follow from the seal before it"
        if seal.first_id != (previous.last_id + 1 if previous else 1) or seal.last_id < seal.first_id - 1:
            yield "its range does not begin where the seal before it ends"

    def _signature(self, seal: Seal) -> Iterator[str]:
        if not seal.is_signed:
            self._unsigned = _Run(self._unsigned.first if self._unsigned else seal, seal)
            if seal.public_key or seal.next_public_key or seal.key_id or seal.next_signature:
                yield "its signature was removed"
            if self._expected is not None:
                yield "it is not signed, and seals before it are"
            return
        self._unsigned = None  # what comes before is covered by this one
        public = seal.public_key or ""
        self._used[public] = _Run(self._used[public].first if public in self._used else seal, seal)
        if not seal.signature_fits():
            yield "its signature does not fit"
        if self._expected in (None, public):
            return
        if public in self._retired:
            yield "it is signed by a key that was replaced before"
        elif public not in self._trusted:
            yield "it is signed by another key, to which nothing hands over"

    def _succeed(self, seal: Seal) -> None:
        """Who has to sign from now on, and who may not any more."""
        successor = _successor(seal)
        is_forged = seal.public_key in self._retired and seal.public_key != self._expected
        if successor is None or is_forged:
            return
        self._retired |= {key for key in (self._expected, seal.public_key) if key is not None}
        self._retired.discard(successor)
        self._expected = successor


def linked_keys(trusted: Collection[str], handovers: Iterable[Seal]) -> set[str]:
    """The public keys that are trusted, with those that are linked to them by a seal that both signed."""
    known = set(trusted)
    pairs = [{seal.public_key or "", seal.next_public_key or ""} for seal in handovers if _is_handover(seal)]
    for _ in pairs:
        for pair in pairs:
            if pair & known:
                known |= pair
    return known


def _is_handover(seal: Seal) -> bool:
    """Signed by both keys, for what it says: an altered one must not link another key to those that are trusted.

    Nor must one that was put in front of the chain, where nothing leads to it.
    """
    is_whole = seal.number > 0 and seal.digest() == seal.seal_hash
    return is_whole and bool(seal.next_public_key) and seal.signature_fits()


def _successor(seal: Seal) -> str | None:
    """The key that has to sign what comes next."""
    return seal.next_public_key or seal.public_key
