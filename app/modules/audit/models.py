"""Value objects; the tables of the logs are in `app.core.audit.models`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.evidence.canonical import Stream

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one of the logs: filters by the names of their parameters, `from` and `to` among them."""

    stream: Stream
    filters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """Up to where a walk through a log goes, fixed when it begins.

    `last_id`: the largest id that could be seen then. `pending`: PostgreSQL's numbers of the transactions that
    were under way then: their rows may get smaller ids, and still were not there.
    """

    last_id: int
    pending: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Walk:
    """One page of a walk: rows up to the bound, beyond `after` if there is one."""

    bound: Bound
    descending: bool
    limit: int
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A row of a table as it is now, told as the log would: public ids, secrets hidden. None where there is none.

    `names`: the fields that such a row has; `redacted`: those whose values are never told.
    """

    state: Item | None
    names: frozenset[str] = frozenset()
    redacted: frozenset[str] = frozenset()
