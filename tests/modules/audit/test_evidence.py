"""Contract 7: verification, seals, segments. Whoever rules the database alters what they like, and is found out."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.evidence.sealer import SealRules
from app.core.evidence.seals import NO_HASH, Seal
from app.core.evidence.signing import load_key, make_key
from app.core.evidence.verifier import Archived
from app.modules.audit import service_evidence
from app.modules.audit.repository_evidence import SegmentRepository
from tests.api import Api, Caller, assert_problem
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import settings_for
from tests.core.access_logs import settled
from tests.modules.audit.sealed import add_segment, forge, seal, verify
from tests.modules.audit.support import START, Row, add_changes, page, walk

TOLD = {
    *(
        "ok",
        "stream",
        "complete",
        "checked_rows",
        "seals",
        "unsealed_rows",
        "oldest_unsealed_s",
        "signatures",
        "anchor",
    ),
    *("lost_seq", "without_stop", "findings"),
}
SEAL = {
    *(
        "id",
        "stream",
        "number",
        "form",
        "first_id",
        "last_id",
        "row_count",
        "min_at",
        "max_at",
        "merkle_root",
    ),
    *("leaves_hash", "prev_hash", "sealed_at", "public_key", "next_public_key", "seal_hash", "key_id"),
    *("signature", "next_signature"),
}
SEGMENT = {
    *("id", "stream", "state", "name", "uri", "first_id", "last_id", "first_seal", "last_seal", "row_count"),
    *(
        "held_count",
        "min_at",
        "max_at",
        "size_bytes",
        "sha256_plain",
        "sha256_file",
        "manifest_sha256",
        "run_id",
    ),
    *("created_at", "updated_at", "written_at", "verified_at", "pruned_at", "expired_at"),
}


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    return tmp_path / "anchor"


@pytest.fixture
async def own(backend: Backend, tmp_path: Path, anchor: Path) -> AsyncIterator[RunningApp]:
    """An app of the test's own, that signs; what is destroyed here stays destroyed. Its own job has sealed already."""
    key = tmp_path / "seal.key"
    make_key(key)
    settings = settings_for(
        backend.new_database(),
        "",
        audit_seal_key_file=key,
        audit_anchor_uri=str(anchor),
        audit_seal_seconds=3600,
    )
    async with run_app(settings) as app:
        yield app


@pytest.fixture
async def watcher(own: RunningApp) -> Caller:
    """Who may verify, and nothing else. Logged in before anything is sealed."""
    return await Api(own).user("audit:verify")


async def sealed_rows(app: RunningApp, count: int = 5) -> list[int]:
    """Rows of the change log under a seal of their own. Returns their ids."""
    await seal(app)
    made = await add_changes(app, [{"reason": f"row {number}"} for number in range(count)])
    await seal(app)
    return made


async def alter(app: RunningApp, segment: str, change: str) -> None:
    await forge(app, f"UPDATE audit_segment SET {change} WHERE name = :name", name=segment)  # noqa: S608


def spoil(anchor: Path) -> None:
    anchor.write_text("no head of any log\n")


def only(found: Row) -> Row:
    """The one finding."""
    assert found["ok"] is False
    (finding,) = found["findings"]
    assert finding.keys() == {"kind", "stream", "first_id", "last_id", "what", "seal", "segment", "ids"}
    told: Row = finding
    return told


async def test_untouched_logs_are_as_they_were_sealed(own: RunningApp, watcher: Caller) -> None:
    await settled(own)
    for stream in ("access", "changes"):
        await seal(own)
        found = await verify(watcher, stream)
        assert found.keys() == TOLD
        assert (found["ok"], found["complete"], found["findings"]) == (True, True, [])
        assert (found["stream"], found["signatures"], found["lost_seq"]) == (stream, "checked", [])
        assert found["checked_rows"] > 0
        assert found["seals"] >= 1
    assert len((await verify(watcher, "access"))["without_stop"]) == 1, "this run goes on"

    await add_changes(own, [{"occurred_at": START}, {}])
    found = await verify(watcher)
    assert (found["ok"], found["unsealed_rows"]) == (True, 2)
    assert found["oldest_unsealed_s"] > 0


async def test_altered_row_is_named(own: RunningApp, watcher: Caller) -> None:
    made = await sealed_rows(own)
    assert (await verify(watcher))["ok"] is True
    await forge(own, "UPDATE audit_change SET reason = 'another' WHERE id = :id", id=made[2])
    finding = only(await verify(watcher))
    assert (finding["kind"], finding["ids"], finding["what"]) == ("root_mismatch", [made[2]], "altered")
    assert (finding["first_id"], finding["last_id"], finding["segment"]) == (made[2], made[2], None)
    assert finding["seal"] > 1


async def test_removed_row_is_named(own: RunningApp, watcher: Caller) -> None:
    made = await sealed_rows(own)
    await forge(own, "DELETE FROM audit_change WHERE id = :id", id=made[1])
    finding = only(await verify(watcher))
    assert (finding["kind"], finding["ids"], finding["what"]) == ("count", [made[1]], "deleted")


async def test_lost_number_of_the_access_log_is_told_and_no_forgery(own: RunningApp, watcher: Caller) -> None:
    await settled(own)
    await forge(own, "DELETE FROM audit_access WHERE seq = 2")
    found = await verify(watcher, "access")
    (hole,) = found["lost_seq"]
    assert hole.keys() == {"boot_id", "from", "to"}
    assert (hole["from"], hole["to"]) == (2, 2)


async def test_end_that_was_cut_off_is_known_to_the_anchor(
    own: RunningApp, watcher: Caller, anchor: Path
) -> None:
    made = await sealed_rows(own)
    newest = max(item["id"] for item in await walk(watcher, "audit/seals", stream="changes"))
    await forge(own, "DELETE FROM audit_seal_leaves WHERE seal_id = :id", id=newest)
    await forge(own, "DELETE FROM audit_seal WHERE id = :id", id=newest)
    await forge(own, "DELETE FROM audit_change WHERE id >= :id", id=made[0])
    finding = only(await verify(watcher))
    assert (finding["kind"], finding["first_id"], finding["last_id"]) == ("anchor", made[0], made[-1])

    spoil(anchor)
    assert (await verify(watcher))["ok"] is True, "an anchor that can't be read says nothing"


async def test_seal_of_a_key_that_nobody_trusts(
    own: RunningApp, watcher: Caller, tmp_path: Path, anchor: Path
) -> None:
    await seal(own)
    await forge(own, "DELETE FROM audit_seal_leaves WHERE 1 = 1")
    await forge(own, "DELETE FROM audit_seal WHERE 1 = 1")
    make_key(tmp_path / "forger.key")
    await seal(own, SealRules(key=load_key(tmp_path / "forger.key")))
    spoil(anchor)
    finding = only(await verify(watcher))
    assert finding["kind"] == "bad_signature"
    assert "not trusted" in finding["what"]


async def test_range_of_seals(own: RunningApp, watcher: Caller) -> None:
    first, second = await sealed_rows(own, 1), await sealed_rows(own, 1)
    await forge(own, "UPDATE audit_change SET reason = 'another' WHERE id = :id", id=second[0])
    last = only(await verify(watcher))["seal"]
    found = await verify(watcher, from_seal=2, to_seal=last - 1)
    assert (found["ok"], found["complete"], found["seals"]) == (True, False, last - 2)
    assert found["checked_rows"] >= len(first)
    found = await verify(watcher, from_seal=last)
    assert (only(found)["ids"], found["seals"], found["checked_rows"]) == (second, 1, 1)
    assert (await verify(watcher, from_seal=last + 1))["seals"] == 0


async def test_no_call_reads_more_than_its_share(
    own: RunningApp, watcher: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sealed_rows(own, 6)
    whole = await verify(watcher)
    assert (whole["complete"], service_evidence.MAX_ROWS) == (True, 200_000)
    monkeypatch.setattr(service_evidence, "MAX_ROWS", whole["checked_rows"] - 1)
    part = await verify(watcher)
    assert (part["ok"], part["complete"], part["seals"]) == (True, False, whole["seals"] - 1)
    assert part["checked_rows"] == whole["checked_rows"] - 6


async def test_rows_that_are_archived(own: RunningApp, watcher: Caller) -> None:
    """Pruned ranges are held against their segments; what is said to be back is looked at like any other row."""
    made = await sealed_rows(own)
    number = (await page(watcher, "audit/seals", stream="changes", limit=1))["items"][0]["number"]
    ends = {"first_seal": number, "last_seal": number, "first_id": made[0], "last_id": made[-1]}
    name = await add_segment(own, row_count=5, **ends)
    assert only(await verify(watcher))["kind"] == "segment", "all of its rows are here"
    await forge(
        own, "DELETE FROM audit_change WHERE id BETWEEN :first AND :last", first=made[0], last=made[-1]
    )
    assert (await verify(watcher))["ok"] is True
    for change, kind in (
        ("held_count = 1", "segment"),
        ("row_count = 6", "segment"),
        ("state = 'restored'", "count"),
        ("state = 'planned'", "count"),
        ("stream = 'access'", "count"),
    ):
        kept = change.partition(" = ")[0]
        usual = {"held_count": "0", "row_count": "5", "state": "'pruned'", "stream": "'changes'"}[kept]
        await alter(own, name, change)
        assert only(await verify(watcher))["kind"] == kind, change
        await alter(own, name, f"{kept} = {usual}")
    for state in ("verified", "expired", "restoring"):
        await alter(own, name, f"state = '{state}'")
        assert (await verify(watcher))["ok"] is True, state


async def test_archive_that_moves_rows_meanwhile_is_no_forgery(
    own: RunningApp, watcher: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await sealed_rows(own)
    states: Iterator[Any] = iter(range(1000))

    async def moving(_self: SegmentRepository, _stream: str) -> list[Archived]:
        return [Archived(f"segment {next(states)}", 900, 900, 0, 0)]

    monkeypatch.setattr(SegmentRepository, "archived", moving)
    assert (await verify(watcher))["ok"] is True
    await forge(own, "UPDATE audit_change SET reason = 'another' WHERE id = :id", id=made[0])
    problem = await watcher.get("audit/verify", params={"stream": "changes"})
    assert_problem(problem, 503, "unavailable")
    assert problem.headers["retry-after"] == "60"


async def test_logs_without_a_key(api: Api, app: RunningApp, auditor: Caller) -> None:
    await seal(app)
    found = await verify(auditor)
    assert (found["ok"], found["signatures"]) == (True, "none")


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"stream": "others"},
        {"stream": "changes", "from_seal": "0"},
        {"stream": "changes", "from_seal": "x"},
        {"stream": "changes", "from_seal": "3", "to_seal": "2"},
        {"stream": "changes", "to_seal": "0"},
        {"stream": "changes", "max_rows": "5"},
    ],
    ids=str,
)
async def test_verification_that_makes_no_sense(auditor: Caller, query: dict[str, str]) -> None:
    assert_problem(await auditor.get("audit/verify", params=query), 422, "validation_error")


@pytest.mark.parametrize("path", ["audit/verify?stream=changes", "audit/seals", "audit/segments"])
async def test_proof_is_for_who_may_verify(api: Api, path: str) -> None:
    assert_problem(await api.get(path), 401, "unauthenticated")
    reader = await api.user("audit:read", "audit:export", "audit:hold")
    assert assert_problem(await reader.get(path), 403, "forbidden")["required"] == "audit:verify"
    for caller in (await api.user("audit:verify"), await api.user(role="auditor")):
        assert (await caller.get(path)).status_code == 200
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await (await api.superuser()).call(method, path.partition("?")[0])).status_code == 405


async def test_seals_can_be_checked_by_whoever_reads_them(own: RunningApp, watcher: Caller) -> None:
    await settled(own)
    await sealed_rows(own)
    for stream in ("access", "changes"):
        told = await walk(watcher, "audit/seals", stream=stream, order="asc", limit=1)
        assert all(item.keys() == SEAL for item in told)
        seals = [Seal.of({name: item[name] for name in Seal.__slots__}) for item in told]
        assert [one.number for one in seals] == list(range(1, len(seals) + 1))
        assert [one.prev_hash for one in seals] == [NO_HASH, *(one.seal_hash for one in seals[:-1])]
        assert all(one.digest() == one.seal_hash and one.signature_fits() for one in seals)


async def test_list_of_seals(own: RunningApp, watcher: Caller) -> None:
    for _ in range(3):
        await sealed_rows(own, 1)
    await settled(own)
    await seal(own)
    newest = await walk(watcher, "audit/seals")
    ids = [item["id"] for item in newest]
    assert ids == sorted(ids, reverse=True)
    assert {item["stream"] for item in newest} == {"access", "changes"}
    assert await walk(watcher, "audit/seals", order="asc", limit=2) == newest[::-1]
    mine = [item for item in newest if item["stream"] == "changes"]
    assert await walk(watcher, "audit/seals", stream="changes", limit=2) == mine

    first = await page(watcher, "audit/seals", order="asc", limit=2)
    await sealed_rows(own, 1)
    rest = await page(watcher, "audit/seals", order="asc", limit=2, cursor=first["next_cursor"])
    assert rest["horizon_id"] == first["horizon_id"] == ids[0]
    while rest["next_cursor"] is not None:
        rest = await page(watcher, "audit/seals", order="asc", limit=2, cursor=rest["next_cursor"])
    assert rest["items"][-1]["id"] == ids[0], "what is sealed meanwhile is not mixed in"

    for other in ({"order": "desc"}, {"order": "asc", "stream": "changes"}):
        answer = await watcher.get("audit/seals", params={**other, "cursor": first["next_cursor"]})
        assert_problem(answer, 400, "bad_request")
    logs = await Api(own).user("audit:read")
    foreign = (await page(logs, "audit/changes", order="asc", limit=1))["next_cursor"]
    for cursor in (foreign, f"{first['next_cursor']}x", "x"):
        answer = await watcher.get("audit/seals", params={"order": "asc", "cursor": cursor})
        assert_problem(answer, 400, "bad_request")
    for wrong in ({"limit": 0}, {"limit": 1001}, {"stream": "x"}, {"order": "x"}, {"number": 1}):
        assert_problem(await watcher.get("audit/seals", params=wrong), 422, "validation_error")


async def test_list_of_segments(app: RunningApp, auditor: Caller) -> None:
    older = await add_segment(app, state="pruned", first_id=1, last_id=9, boots={"b": [[1, 2]]}, max_at=START)
    newer = await add_segment(app, state="planned", first_id=10, last_id=20, stream="access")
    found = (await auditor.get("audit/segments", params={"sort": "first_id"})).json()
    assert [item["name"] for item in found["items"]] == [older, newer]
    assert (found["total"], found["page"], found["next_cursor"]) == (2, 1, None)
    assert all(item.keys() == SEGMENT for item in found["items"])
    assert found["items"][0]["max_at"] == "2026-03-01T12:00:00Z"
    for query, expected in (
        ({"stream": "access"}, [newer]),
        ({"state": "pruned"}, [older]),
        ({"state": "restored"}, []),
        ({"sort": "-first_id", "per_page": 1}, [newer]),
    ):
        told = (await auditor.get("audit/segments", params=query)).json()
        assert [item["name"] for item in told["items"]] == expected
    for wrong in ({"state": "x"}, {"stream": "x"}, {"sort": "boots"}, {"deleted": "true"}):
        assert_problem(await auditor.get("audit/segments", params=wrong), 422, "validation_error")
