"""Contract 7, one record through time, when some of its changes have left the log for the archive."""

import random
from datetime import timedelta

import pytest

from app.core.clock import now
from app.modules.audit.timeline import Chain, Gaps
from tests.api import Api, Caller
from tests.backend import RunningApp
from tests.modules.audit.sealed import add_segment
from tests.modules.audit.support import START, Row, add_changes
from tests.modules.audit.test_records import read

HOUR = timedelta(hours=1)
GONE = ("verified", "restoring", "pruned", "expired")
HERE = ("planned", "written", "restored")


def update(entity: str, hours: int, old: int, new: int) -> Row:
    return {
        "entity": entity,
        "occurred_at": START + hours * HOUR,
        "changed": ["a"],
        "old": {"a": old},
        "new": {"a": new},
    }


def delete(entity: str, hours: int, old: int) -> Row:
    return {**update(entity, hours, old, old), "action": "DELETE", "new": None}


@pytest.mark.parametrize("state", [*GONE, *HERE])
async def test_changes_in_the_archive_make_a_state_uncertain(
    app: RunningApp, auditor: Caller, unique: str, state: str
) -> None:
    await add_changes(app, [update(unique, 0, 1, 2), delete(unique, 10, 2)])
    name = await add_segment(app, state=state, min_at=START - HOUR, max_at=START + 5 * HOUR)
    await add_segment(app, state=state, stream="access", max_at=START + 500 * HOUR)
    for hours in (0, 4, 5, 10):
        found = await read(auditor, unique, "1", "as-of", at=(START + hours * HOUR).isoformat())
        is_uncertain = state in GONE and hours < 5
        assert (found["complete"], found["segments"]) == (not is_uncertain, [name] if is_uncertain else [])
        assert found["state"] == (None if hours == 10 else {"a": 2})


async def test_state_is_whole_without_the_oldest_changes(
    app: RunningApp, auditor: Caller, unique: str
) -> None:
    """The log was kept at that instant, and all that came later is here."""
    await add_changes(app, [update(unique, 10, 2, 3), delete(unique, 20, 3)])
    at = {"at": (START + 9 * HOUR).isoformat()}
    found = await read(auditor, unique, "1", "as-of", **at)
    assert (found["state"], found["complete"]) == ({"a": 2}, False), "the record may be older than the log"

    name = await add_segment(app, min_at=START - HOUR, max_at=START + 8 * HOUR)
    found = await read(auditor, unique, "1", "as-of", **at)
    assert (found["state"], found["complete"], found["segments"]) == ({"a": 2}, True, [])
    for hours in (-2, 7):
        before = await read(auditor, unique, "1", "as-of", at=(START + hours * HOUR).isoformat())
        assert (before["complete"], before["segments"]) == (False, [name])


async def test_record_that_was_made_since_then_needs_no_archive(
    api: Api, app: RunningApp, auditor: Caller, unique: str
) -> None:
    """But for what can be made again under the same id: a link, or what no table is known of."""
    user, at = await api.user(), now() - 24 * HOUR
    name = await add_segment(app, max_at=at + HOUR)
    found = await read(auditor, "users", user.id, "as-of", at=at.isoformat())
    assert (found["exists"], found["complete"], found["segments"]) == (False, True, [])

    insert = {"entity": unique, "action": "INSERT", "occurred_at": now(), "old": None, "new": {"a": 1}}
    await add_changes(app, [insert])
    found = await read(auditor, unique, "1", "as-of", at=at.isoformat())
    assert (found["exists"], found["complete"], found["segments"]) == (False, False, [name])


async def test_what_only_the_archive_may_know_of(app: RunningApp, auditor: Caller, unique: str) -> None:
    first = await add_segment(app, max_at=START + HOUR)
    second = await add_segment(app, first_id=2, last_id=2, max_at=START + 2 * HOUR)
    found = await read(auditor, unique, "1", "as-of", at=START.isoformat())
    assert (found["exists"], found["state"], found["complete"]) == (False, None, False)
    assert found["segments"] == [first, second]
    both = {"from": START.isoformat(), "to": (START + HOUR).isoformat()}
    told = await read(auditor, unique, "1", "diff", **both)
    assert (told["from"]["segments"], told["to"]["segments"]) == ([first, second], [second])


async def test_drift_begins_anew_behind_a_gap(app: RunningApp, auditor: Caller, unique: str) -> None:
    """Rows under a hold stay where their neighbours are gone."""
    held, between, later = await add_changes(
        app, [update(unique, 0, 1, 2), update("others", 0, 0, 0), update(unique, 10, 5, 6)]
    )
    # The present row is gone without a trace: that is told too.
    breaks = (await read(auditor, unique, "1", "drift"))["breaks"]
    assert [(one["previous_id"], one["next_id"]) for one in breaks] == [(held, later), (later, None)]
    await add_segment(app, first_id=between, last_id=between)
    breaks = (await read(auditor, unique, "1", "drift"))["breaks"]
    assert [(one["previous_id"], one["next_id"]) for one in breaks] == [(later, None)]
    await add_segment(app, first_id=later, last_id=later + 1000)
    assert await read(auditor, unique, "1", "drift") == {"ok": True, "checked_changes": 2, "breaks": []}


def test_first_change_behind_the_archive_is_no_break() -> None:
    """A record whose beginning is archived, and that was changed since."""
    chain = Chain(Gaps(((1, 4),)))
    chain.follow({"id": 5, "action": "UPDATE", "old": {"a": 1}, "new": {"a": 2}})
    chain.follow({"id": 6, "action": "UPDATE", "old": {"a": 2}, "new": {"a": 3}})
    chain.arrive({"a": 3, "b": 1})
    assert (chain.breaks, chain.checked) == ([], 2)
    chain.arrive({"a": 4, "b": 1})
    assert chain.breaks == [{"previous_id": 6, "next_id": None, "fields": ["a"]}]


def test_gaps_between_ids() -> None:
    """Held against counting."""
    chance = random.Random(5)
    seen = set()
    for _ in range(300):
        ends = sorted(chance.sample(range(30), 4))
        gaps = Gaps(((ends[0], ends[1]), (ends[2], ends[3])))
        gone = {*range(ends[0], ends[1] + 1), *range(ends[2], ends[3] + 1)}
        one, other = sorted(chance.sample(range(30), 2))
        lies = bool(gone & set(range(one + 1, other)))
        assert gaps.lie_between(one, other) is lies, (gaps, one, other)
        seen.add(lies)
    assert seen == {True, False}
    assert not Gaps().lie_between(1, 2)
