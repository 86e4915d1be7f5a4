"""Anchors: what is kept, what a crash leaves, who writes at the same time."""

import asyncio
import sys
from pathlib import Path

import pytest

from app.core.config import ROOT
from app.core.evidence import anchors as anchors_module
from app.core.evidence.anchors import AnchorFault, FileAnchor, Head, StreamAnchor
from app.core.evidence.canonical import STREAMS
from app.core.evidence.places import open_anchor
from tests.core.evidence.world import World

ADDER = """
import sys
from pathlib import Path
from app.core.evidence.anchors import FileAnchor, Head
anchor = FileAnchor(Path(sys.argv[1]))
for number in range(1, 41):
    anchor.add([Head("changes", number, number, "ab" * 32, "2026-03-01T12:00:00.000000Z")])
"""


def head(number: int, stream: str = "changes") -> Head:
    return Head.read(
        b'{"last_id":%d,"number":%d,"seal_hash":"%s","sealed_at":"2026-03-01T12:00:00.000000Z","stream":"%s"}'
        % (number * 10, number, b"ab" * 32, stream.encode())
    )


def test_heads_are_kept_once_and_in_order(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "far" / "anchor.jsonl")
    assert (anchor.heads(), anchor.newest()) == ([], {"access": 0, "changes": 0})
    anchor.add([head(1), head(2)])
    anchor.add([head(2), head(3), head(1, "access")])
    anchor.add([])
    assert anchor.heads() == [head(1), head(2), head(3), head(1, "access")]
    assert anchor.newest() == {"access": 1, "changes": 3}
    assert (tmp_path / "far" / "anchor.jsonl").stat().st_mode & 0o777 == 0o600


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors_module, "_TAIL_BYTES", 500)
    anchor = FileAnchor(tmp_path / "anchor.jsonl")
    anchor.add([head(1, "access"), *(head(number) for number in range(1, 30))])  # the other log is far away
    for number in range(25, 35):
        anchor.add([head(number)])
        anchor.add([head(number, "access")])
    told = [(one.stream, one.number) for one in anchor.heads()]
    assert len(told) == len(set(told)) == 1 + 34 + 10
    assert anchor.newest() == {"access": 34, "changes": 34}


@pytest.mark.parametrize("size", [1, 40, -2, -1])
def test_what_a_crash_cut_off_is_written_again(tmp_path: Path, size: int) -> None:
    path = tmp_path / "anchor.jsonl"
    anchor = FileAnchor(path)
    anchor.add([head(1)])
    with path.open("ab") as file:
        file.write(head(2).line()[:size])
    whole = size == -1  # but for its end
    assert anchor.heads() == ([head(1), head(2)] if whole else [head(1)])
    anchor.add([head(1, "access")])  # somebody else comes first
    if size in {40, -2}:
        with pytest.raises(AnchorFault, match="line 2 is no head"):
            anchor.heads()
    anchor.add([head(2), head(3)])
    assert {(one.stream, one.number) for one in anchor.heads()} == {
        *(("changes", number) for number in (1, 2, 3)),
        ("access", 1),
    }
    assert path.read_bytes().startswith(head(1).line() + head(2).line()[:size].rstrip(b"\n") + b"\n")


def test_every_byte_counts(tmp_path: Path) -> None:
    path = tmp_path / "anchor.jsonl"
    sound = [head(1), head(1, "access"), head(2)]
    FileAnchor(path).add(sound)
    text = path.read_bytes()
    for place in range(len(text)):
        for flipped in (1, 2, 16):
            path.write_bytes(text[:place] + bytes([text[place] ^ flipped]) + text[place + 1 :])
            try:
                heads = FileAnchor(path).heads()
            except AnchorFault:
                continue
            assert heads != sound, (place, flipped)


@pytest.mark.parametrize(
    "line",
    [
        b"nothing",
        b"[]",
        b"{}",
        head(1).line().replace(b'"changes"', b'"chances"'),
        head(1).line().replace(b'"number":1', b'"number":1.5'),
        head(1).line().replace(b'"number":1', b'"number":true'),
        head(1).line().replace(b'"number":1', b'"number":1,"more":2'),
    ],
)
def test_what_is_no_head_is_a_fault(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "anchor.jsonl"
    path.write_bytes(line.rstrip(b"\n") + b"\n" + head(2).line())
    with pytest.raises(AnchorFault, match="line 1 is no head of a log"):
        FileAnchor(path).heads()


async def test_several_processes_add_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "anchor.jsonl"
    command = [sys.executable, "-c", ADDER, str(path)]
    processes = [await asyncio.create_subprocess_exec(*command, cwd=ROOT) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    assert [one.number for one in FileAnchor(path).heads()] == list(range(1, 41))


def test_lines_of_standard_output_can_be_given_as_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anchor = StreamAnchor()
    assert anchor.newest() is None
    anchor.add([head(1), head(2)])
    with pytest.raises(AnchorFault, match="can't be read back"):
        anchor.heads()
    path = tmp_path / "shipped.log"
    lines = capsys.readouterr().out.splitlines()
    path.write_text("".join(f"2026-03-01 host tessera: {line}\n" for line in lines))
    assert FileAnchor(path).heads() == [head(1), head(2)]


def test_addresses(tmp_path: Path) -> None:
    assert open_anchor("") is None
    assert isinstance(open_anchor("stdout:"), StreamAnchor)
    for uri in (f"{tmp_path}/a%20b", f"file://{tmp_path}/a%20b", f"file://localhost{tmp_path}/a%20b"):
        anchor = open_anchor(uri)
        assert isinstance(anchor, FileAnchor)
        anchor.add([head(1)])
    assert {path.name for path in tmp_path.iterdir()} == {"a b", "a%20b"}
    for wrong in ("ftp://host/path", "file://host/path"):
        with pytest.raises(ValueError, match="is no anchor"):
            open_anchor(wrong)


async def test_every_so_many_seals_go_to_the_anchor(world: World) -> None:
    anchor = world.anchor()
    for _ in range(7):
        await world.seal(rows=1, anchor=anchor, anchor_every=3)
    assert sorted((one.stream, one.number) for one in anchor.heads()) == [
        (stream, number) for stream in STREAMS for number in (3, 6)
    ]
    assert await world.is_sound(heads=anchor.heads())


async def test_an_anchor_that_was_away_is_told_of_all_later(world: World) -> None:
    (world.folder / "disk").write_text("no folder")
    anchor = FileAnchor(world.folder / "disk" / "anchor.jsonl")
    sealer = world.sealer(anchor=anchor)
    await world.add()
    await sealer.seal_all()
    await world.seal()  # by somebody who has none
    (world.folder / "disk").unlink()
    await world.add()
    await sealer.seal_all()
    assert sorted((one.stream, one.number) for one in anchor.heads()) == [
        (stream, number) for stream in STREAMS for number in (1, 2, 3)
    ]
    assert await world.is_sound(heads=anchor.heads())


async def test_standard_output_is_told_where_the_chains_are_at_the_start(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        await world.seal(rows=1)
    sealer = world.sealer(anchor=StreamAnchor())
    for _ in range(2):
        await world.add()
        await sealer.seal_all()
    path = world.folder / "shipped.log"
    path.write_text(capsys.readouterr().out)
    heads = FileAnchor(path).heads()
    assert [one.number for one in heads if one.stream == "changes"] == [4, 5]
    assert await world.is_sound(heads=heads)
