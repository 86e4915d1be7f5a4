"""`scripts/archive_audit.py` as it is called: what it prints, how it exits, what it leaves behind."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.core.evidence.locks import only_run
from app.core.evidence.sealer import SealRules
from app.core.evidence.signing import load_key, make_key
from tests.backend import Backend
from tests.core.evidence.archive_world import World, change_row, files, open_world
from tests.forks import FORKS

ROOT = Path(__file__).resolve().parents[2]
Call = Callable[..., "Answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended."""

    code: int
    out: str
    error: str

    @property
    def told(self) -> dict[str, Any]:
        """The last line of JSON."""
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


def called(words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Answer:
    """A call in a process of its own."""
    texts = [folder / f"{uuid4().hex}.txt" for _ in range(2)]
    process = FORKS.Process(target=_child, args=(words, dict(environment), texts))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    out, error = (text.read_text() for text in texts)
    assert "Traceback" not in error, error
    return Answer(process.exitcode, out, error)


def _child(words: Sequence[str], environment: dict[str, str], texts: Sequence[Path]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, text in enumerate(texts, 1):
        os.dup2(os.open(text, os.O_WRONLY | os.O_CREAT), descriptor)
    from archive_tool.command_line import main  # noqa: PLC0415  it reads the environment

    sys.exit(main(words))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "seal.pem"
    make_key(path)
    return path


@pytest.fixture
async def world(backend: Backend, tmp_path: Path, key: Path) -> AsyncIterator[World]:
    """200 days old: 120 rows in each log; of today: 30."""
    rules = SealRules(key=load_key(key))
    async with open_world(backend.new_database(), tmp_path / "archive", rules) as made:
        old, new = datetime.now(UTC) - timedelta(days=200), datetime.now(UTC)
        times = [old + timedelta(minutes=n) for n in range(120)] + [new] * 30
        await made.add("changes", [change_row(n, at) for n, at in enumerate(times, 1)])
        yield made


def variables(world: World, key: Path | None) -> dict[str, str]:
    given = {
        name: value for name, value in os.environ.items() if not name.startswith(("AUDIT_", "DATABASE_"))
    }
    given |= {"ENVIRONMENT": "test", "DATABASE_URL": world.url}
    return given | ({"AUDIT_SEAL_KEY_FILE": str(key)} if key else {})


@pytest.fixture
def call(world: World, key: Path, tmp_path: Path) -> Call:
    def run(command: str, *words: str, dest: Path | None = None, **changed: str) -> Answer:
        place = [] if command == "seal" else ["--dest", str(dest or world.folder)]
        return called([command, *place, *words], {**variables(world, key), **changed}, tmp_path)

    return run


async def later(call: Call, *words: str, **changed: Any) -> Answer:
    return await asyncio.to_thread(call, *words, **changed)


async def test_a_night_in_the_life(call: Call, world: World, key: Path) -> None:
    dry = await later(call, "run", "--dry-run", "--json")
    assert (dry.code, dry.told["rows"]) == (0, 120)
    assert not world.folder.exists()
    assert "120 rows would be archived" in (await later(call, "run", "--dry-run")).out

    run = await later(call, "run", "--reason", "the nightly job", "--json")
    assert run.code == 0, run.error
    assert (run.told["archived_rows"], run.told["pruned_rows"]) == (120, 120)
    assert {json.loads(line)["event"] for line in run.out.splitlines()[:-1]} == {"write", "verify", "prune"}
    (row,) = [line for line in (await world.lines("changes")).values() if b'"state":"pruned"' in line]
    assert b'"reason":"the nightly job"' in row
    assert b'"actor_type":"cli"' in row

    listed = await later(call, "list", "--json")
    (segment,) = listed.told["segments"]
    assert (segment["state"], segment["row_count"]) == ("pruned", 120)
    assert "pk" not in segment
    verified = await later(call, "verify", "--public-key", f"{key}.pub")
    assert (verified.code, "Nothing was found" in verified.out) == (0, True), verified.out
    assert "signatures checked" in verified.out
    again = await later(call, "run", "--quiet")
    assert (again.code, again.out, again.error) == (0, "", "")


async def test_on_a_machine_without_the_database(call: Call, world: World, key: Path, tmp_path: Path) -> None:
    await later(call, "run")
    nowhere = {"DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/nowhere.db", "AUDIT_SEAL_KEY_FILE": ""}
    verified = await later(call, "verify", "--public-key", f"{key}.pub", "--json", **nowhere)
    assert verified.code == 0, verified.error
    assert verified.told["archive"][1]["checked_rows"] == 120
    assert verified.told["archive"][1]["signatures"] == "checked"
    without_key = await later(call, "verify", **nowhere)
    assert without_key.code == 0
    assert "signatures are not checked" in without_key.error
    asked = await later(call, "query", "--entity", "things", "--pk", "3", "--actor", "actor-0", **nowhere)
    assert [json.loads(line)["id"] for line in asked.out.splitlines()] == [3, 24, 45, 66, 87, 108]
    listed = await later(call, "list", **nowhere)
    assert "120 rows" in listed.out
    into = f"sqlite:{tmp_path / 'back.db'}"
    for _ in range(2):
        assert (await later(call, "restore", "--into", into, **nowhere)).code == 0
        assert (tmp_path / "back.db").stat().st_mode & 0o777 == 0o600
        with sqlite3.connect(tmp_path / "back.db") as connection:
            assert connection.execute("SELECT count(*) FROM audit_change").fetchone() == (120,)
    async with open_world(f"sqlite+aiosqlite:///{tmp_path}/back.db", world.folder) as back:
        assert await back.lines("changes") == world.archived("changes")
    run = await later(call, "run", **nowhere)
    assert (run.code, "no database" in run.error) == (1, True)
    assert not (tmp_path / "nowhere.db").exists()


async def test_damage_is_3_and_nothing_is_pruned(call: Call, world: World) -> None:
    assert (await later(call, "archive")).code == 0
    (data,) = files(world.folder, "changes", ".jsonl.gz")
    whole = data.read_bytes()
    data.write_bytes(whole[:-9] + bytes([whole[-9] ^ 4]) + whole[-8:])
    pruned = await later(call, "prune")
    assert (pruned.code, "not verified" in pruned.error) == (3, True)
    verified = await later(call, "verify")
    assert (verified.code, "NOT as it was sealed" in verified.out) == (3, True)
    assert set(range(1, 121)) <= set(await world.lines("changes"))
    data.unlink()
    assert (await later(call, "verify")).code == 3
    assert (await later(call, "prune")).code == 3
    data.write_bytes(whole)
    assert (await later(call, "prune")).code == 0


async def test_another_key_is_found(call: Call, tmp_path: Path) -> None:
    await later(call, "run")
    make_key(tmp_path / "other.pem")
    verified = await later(call, "verify", "--public-key", str(tmp_path / "other.pem.pub"), "--json")
    assert verified.code == 3
    assert {one["kind"] for one in verified.told["archive"][1]["findings"]} == {"bad_signature"}
    quiet = await later(call, "verify", "--public-key", str(tmp_path / "other.pem.pub"), "--quiet")
    assert (quiet.code, "bad_signature" in quiet.out) == (3, True)


async def test_an_archive_that_is_gone_is_found_by_the_database(
    call: Call, world: World, tmp_path: Path
) -> None:
    await later(call, "run")
    world.folder.rename(tmp_path / "elsewhere")
    verified = await later(call, "verify", "--json")
    assert verified.code == 3
    assert [one["kind"] for one in verified.told["logs"][1]["findings"]] == ["segment"]


async def test_a_place_that_cannot_be_written_is_4(call: Call, world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = await later(call, "run", dest=tmp_path / "file")
    assert (run.code, run.error.startswith("storage: ")) == (4, True), run.error
    assert len(await world.lines("changes")) == 150


async def test_two_at_once_is_75(call: Call, world: World) -> None:
    async with only_run(world.database, world.archive()._destination):
        run = await later(call, "run")
    assert (run.code, "another run is active" in run.error) == (75, True)
    assert await world.segments() == []


async def test_ctrl_c_ends_well(call: Call, world: World, key: Path) -> None:
    line = [sys.executable, str(ROOT / "scripts" / "archive_audit.py"), "run", "--dest", str(world.folder)]
    process = await asyncio.create_subprocess_exec(
        *line,
        *("--batch", "1", "--pause-ms", "50", "--json"),
        stdout=asyncio.subprocess.PIPE,
        env=variables(world, key),
    )
    assert process.stdout is not None
    while b'"prune"' not in await process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    rest = await process.stdout.read()
    assert await process.wait() == 0
    told = json.loads(rest.splitlines()[-1])
    assert told["interrupted"] is True
    assert 0 < len(set(range(1, 121)) - set(await world.lines("changes"))) < 120
    assert await world.verdict("changes") == []
    assert (await later(call, "run", "--json")).told["interrupted"] is False
    assert min(await world.lines("changes")) > 120


async def test_time_is_up(call: Call, world: World) -> None:
    run = await later(call, "run", "--max-minutes", "0", "--json")
    assert (run.code, run.told["interrupted"]) == (0, True)
    assert await world.segments() == []


async def test_expired_files_leave_a_tombstone(call: Call, world: World, key: Path) -> None:
    await later(call, "run")
    assert "is not old enough" in (await later(call, "expire")).out
    hold = await world.hold(entity="things", entity_id="3")
    held = await later(call, "expire", "--older-than", "100d")
    assert "under a legal hold" in held.out
    await world.release(hold)
    dry = await later(call, "expire", "--older-than", "100d", "--dry-run")
    assert "would be removed" in dry.out
    (data,) = files(world.folder, "changes", ".jsonl.gz")
    assert data.exists()
    gone = await later(call, "expire", "--older-than", "100d", "--reason", "kept for 100 days")
    assert gone.code == 0, gone.error
    assert not data.exists()
    verified = await later(call, "verify", "--public-key", f"{key}.pub", "--json")
    assert (verified.code, len(verified.told["archive"][1]["expired"])) == (0, 1), verified.out
    (segment,) = await world.segments()
    assert segment.state == "expired"
    assert (await later(call, "run")).code == 0


async def test_into_the_log_and_out_again(call: Call, world: World) -> None:
    before = await world.lines("changes")
    await later(call, "run")
    back = await later(call, "restore", "--into", "hot", "--json")
    assert (back.code, back.told["restored_rows"]) == (0, 120), back.error
    assert before.items() <= (await world.lines("changes")).items()
    assert (await later(call, "verify")).code == 0
    pruned = await later(call, "prune", "--json")
    assert (pruned.code, pruned.told["pruned_rows"]) == (0, 120)


async def test_vacuum_parquet_and_networks(call: Call, world: World, key: Path) -> None:
    run = await later(call, "run", "--parquet", "--anonymise-ip", "--vacuum")
    assert run.code == 0, run.error
    assert len(list(files(world.folder, "changes", ".parquet"))) == 1
    assert all(json.loads(line)["client_ip"] == "192.0.2.0" for line in world.archived("changes").values())
    verified = await later(call, "verify", "--public-key", f"{key}.pub")
    assert (verified.code, "anonymised" in verified.error) == (0, True), verified.out


async def test_keys(call: Call, world: World, key: Path, tmp_path: Path) -> None:
    made = await later(call, "seal", "--make-key", str(tmp_path / "next.pem"), "--json")
    assert (made.code, (tmp_path / "next.pem").stat().st_mode & 0o777) == (0, 0o600)
    assert (await later(call, "seal", "--make-key", str(tmp_path / "next.pem"))).code == 1
    handed = await later(call, "seal", "--hand-over-to", str(tmp_path / "next.pem"))
    assert (handed.code, "AUDIT_SEAL_KEY_FILE" in handed.out) == (0, True), handed.error
    await world.add("changes", [change_row(1, datetime.now(UTC))])
    refused = await later(call, "seal")
    assert (refused.code, "--hand-over-to" in refused.error) == (1, True)
    assert (await later(call, "seal", AUDIT_SEAL_KEY_FILE=str(tmp_path / "next.pem"))).code == 0
    for public in (f"{key}.pub", str(tmp_path / "next.pem.pub")):
        verified = await later(call, "verify", "--public-key", public)
        assert verified.code == 0, verified.out


async def test_a_lost_key(call: Call, world: World, key: Path, tmp_path: Path) -> None:
    await later(call, "seal")
    make_key(tmp_path / "new.pem")
    new = {"AUDIT_SEAL_KEY_FILE": str(tmp_path / "new.pem")}
    await world.add("changes", [change_row(1, datetime.now(UTC))])
    assert (await later(call, "seal", **new)).code == 1
    replaced = await later(call, "seal", "--replace-key", **new)
    assert replaced.code == 0, replaced.error
    public = ["--public-key", str(tmp_path / "new.pem.pub")]
    assert (await later(call, "verify", *public)).code == 3
    assert (await later(call, "verify", *public, "--public-key", f"{key}.pub")).code == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["run", "--older-than", "soon"],
        ["run", "--older-than", "90d", "--before", "2026-01-01T00:00:00Z"],
        ["run", "--before", "2026-01-01"],
        ["run", "--batch", "0"],
        ["run", "--stream", "both"],
        ["query", "--pk", "7"],
        ["restore", "--into", "somewhere"],
        ["restore", "--into", "hot", "--offline"],
        ["seal", "--make-key", "a", "--hand-over-to", "b"],
    ],
)
def test_wrong_use_is_2(words: list[str], tmp_path: Path) -> None:
    answer = called(words, os.environ, tmp_path)
    assert answer.code == 2
    assert answer.error.splitlines()[-1].startswith("archive_audit.py")
    assert answer.out == ""


def test_it_finds_the_packages_by_itself(tmp_path: Path) -> None:
    """Started with any Python, as the guide says."""
    line = [sys.executable, str(ROOT / "scripts" / "archive_audit.py"), "run", "--help"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert "--older-than" in done.stdout
