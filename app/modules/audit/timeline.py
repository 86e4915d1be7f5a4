"""A record through time, out of the rows of the change log: pure functions of what was read."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from app.core.audit.values import shortened
from app.modules.audit.models import Item

_CUT = "$truncated"


def is_cut(value: Any) -> bool:
    """Whether the log holds only the digest of a value."""
    return isinstance(value, dict) and value.get(_CUT) is True


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, as far as the log can tell: what was cut is compared by its digest."""
    if is_cut(one) or is_cut(other):
        return _digest(one) == _digest(other)
    return bool(one == other)


def _digest(value: Any) -> object:
    cut = value if is_cut(value) else shortened(value, limit=0)[0]
    return cut["sha256"] if is_cut(cut) else cut


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The fields that both have, and not alike."""
    return sorted(name for name in one.keys() & other.keys() if not same(one[name], other[name]))


@dataclass(slots=True)
class Rewind:
    """Takes changes back, the newest first, from the row as it is now (None for none)."""

    state: Item | None
    is_whole: bool = True

    def undo(self, change: Mapping[str, Any]) -> None:
        """The state before this change."""
        old = change["old"]
        if change["action"] == "INSERT":
            self.state, self.is_whole = None, True
        elif change["action"] == "DELETE":
            self.state, self.is_whole = dict(old), True
        else:
            # Something that is gone without a DELETE: only what its last changes told of is known.
            self.is_whole = self.is_whole and self.state is not None
            self.state = {**(self.state or {}), **old}


@dataclass(frozen=True, slots=True)
class Gaps:
    """Ranges of ids whose rows may be gone from the log, in their order: first and last ids, apart from each other."""

    ranges: tuple[tuple[int, int], ...] = ()

    def lie_between(self, one: int, other: float) -> bool:
        """Whether rows between these two ids may be gone."""
        index = bisect_right(self.ranges, one, key=lambda ids: ids[1])
        if index == len(self.ranges):
            return False
        first, last = self.ranges[index]
        return max(first, one + 1) <= min(last, other - 1)


@dataclass(slots=True)
class Chain:
    """Follows changes, the oldest first, and notes where one doesn't fit what was known before it.

    Nothing is known behind a gap: what came before it says nothing about what comes next.
    """

    gaps: Gaps = field(default_factory=Gaps)
    breaks: list[Item] = field(default_factory=list)
    checked: int = 0
    _known: Item = field(default_factory=dict)
    _is_gone: bool = False
    _last_id: int | None = None

    def follow(self, change: Mapping[str, Any]) -> None:
        """The next change."""
        self._forget_before(change["id"])
        action, old, new = change["action"], change["old"] or {}, change["new"] or {}
        came_from_nowhere = action == "INSERT" and self._last_id is not None and not self._is_gone
        if came_from_nowhere or (action != "INSERT" and self._is_gone):
            self._note(change["id"], sorted(new or old))
        elif fields := differing(self._known, old):
            self._note(change["id"], fields)
        self._is_gone = action == "DELETE"
        self._known = {} if self._is_gone else new if action == "INSERT" else {**self._known, **new}
        self._last_id = change["id"]
        self.checked += 1

    def arrive(self, state: Item | None) -> None:
        """The row as it is now, None for none: it has to be what the last change left."""
        self._forget_before(inf)
        if self._last_id is None:
            return
        if (state is None) is not self._is_gone:
            self._note(None, sorted(state or self._known))
        elif state is not None and (fields := differing(self._known, state)):
            self._note(None, fields)

    def _forget_before(self, id: float) -> None:
        if self._last_id is not None and self.gaps.lie_between(self._last_id, id):
            self._known, self._is_gone, self._last_id = {}, False, None

    def _note(self, next_id: int | None, fields: list[str]) -> None:
        self.breaks.append({"previous_id": self._last_id, "next_id": next_id, "fields": fields})
