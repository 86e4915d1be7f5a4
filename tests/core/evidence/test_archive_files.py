"""Files of an archive: what is written is read again, and what was altered is not."""

import gzip
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.evidence.boots import Intervals
from app.core.evidence.canonical import Line, Stream
from app.core.evidence.destinations import Folder, StorageFault
from app.core.evidence.manifest import DATA, MANIFEST, Manifest, read_manifest
from app.core.evidence.segment_files import Damaged, SegmentReader, boots_of
from tests.core.evidence.made_archives import MadeArchive, line_of, lines, new_key, read, row

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def made(tmp_path: Path) -> MadeArchive:
    """An empty archive in a folder."""
    return MadeArchive(Folder(tmp_path / "archive"), key=new_key())


def whole(made: MadeArchive, manifest: Manifest) -> list[bytes]:
    return [line.data for line in SegmentReader(made.destination, manifest).lines()]


@pytest.mark.parametrize("stream", ["access", "changes"])
@pytest.mark.parametrize("counts", [(1,), (2, 0, 5), (0, 3), (0,), (64, 65)])
def test_what_is_written_is_read_again(made: MadeArchive, stream: Stream, counts: tuple[int, ...]) -> None:
    made.stream = stream
    manifest = made.add(*counts)
    assert whole(made, manifest) == [line.data for line in made.lines]
    assert [line.id for line in SegmentReader(made.destination, manifest).lines()] == list(
        range(1, sum(counts) + 1)
    )
    assert list(SegmentReader(made.destination, manifest).plain_lines()) == [line.data for line in made.lines]
    assert read_manifest(made.destination, manifest.name) == manifest
    assert not manifest.faults()


def test_lines_may_be_longer_than_what_is_read_at_once(made: MadeArchive) -> None:
    rows = lines("changes", 1, 3)
    text = random.Random(7).randbytes(1_500_000).hex().encode()
    rows[1] = Line(2, rows[1].at, rows[1].data[:-1] + b',"zz":"' + text + b'"}')
    manifest = made.write(rows, [made.seal(rows)])
    assert whole(made, manifest) == [line.data for line in rows]


def test_what_is_compressed_best_is_read_too(made: MadeArchive) -> None:
    rows = lines("changes", 1, 2)
    rows[1] = Line(2, rows[1].at, rows[1].data[:-1] + b',"zz":"' + b"a" * 9_000_000 + b'"}')
    manifest = made.write(rows, [made.seal(rows)])
    assert whole(made, manifest) == [line.data for line in rows]


@pytest.mark.parametrize(
    "forged",
    [
        {"changed": {"a": 1, "id": 98}},
        {"changed": [',"id":98,', '{"id":98}']},
        {"actor_id": '","id":98,"'},
        {"entity": "{", "new": {"id": 98}},
        {"cause": {"$raw": ',"id":98'}},
    ],
)
def test_id_is_the_rows_own(made: MadeArchive, forged: dict[str, Any]) -> None:
    rows = [line_of(row("changes", id) | forged) for id in (1, 2)]
    manifest = made.write(rows, [made.seal(rows)])
    assert [line.id for line in SegmentReader(made.destination, manifest).lines()] == [1, 2]


@pytest.mark.parametrize(
    "forged",
    [
        {"query": {"a": 1, "boot_id": "c", "seq": 98}},
        {"actor_id": '","boot_id":"c","seq":98,"', "user_agent": '","seq":98,"'},
        {"auth_method": {"$raw": "x", "boot_id": "c"}},
        {"user_agent": {"$raw": "x", "a": 1, "seq": 98}},
        {"boot_id": 'quoted "é"'},
        {"seq": -7},
    ],
)
def test_process_run_and_number_are_the_rows_own(forged: dict[str, Any]) -> None:
    told, found = row("access", 5) | forged, Intervals()
    boots_of([line_of(told)], found)
    assert found.told() == {told["boot_id"]: [[told["seq"], told["seq"]]]}


def test_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        made = MadeArchive(Folder(tmp_path / name))
        manifest = made.add(100, 200)
        files.append((read(made.destination, f"{manifest.name}{DATA}"), manifest.data()))
    assert files[0] == files[1]


def test_files_are_gzip_of_lines_that_any_program_reads(made: MadeArchive) -> None:
    manifest = made.add(3)
    packed = read(made.destination, f"{manifest.name}{DATA}")
    assert gzip.decompress(packed) == b"".join(line.data + b"\n" for line in made.lines)


def test_every_byte_of_a_file_counts(made: MadeArchive) -> None:
    manifest = made.add(3, 2)
    path = Path(made.destination.uri) / f"{manifest.name}{DATA}"
    packed, chance = path.read_bytes(), random.Random(11)
    for place in range(len(packed)):
        altered = bytearray(packed)
        altered[place] ^= chance.randrange(1, 256)
        path.write_bytes(altered)
        with pytest.raises(Damaged):
            whole(made, manifest)
        with pytest.raises(Damaged):
            list(SegmentReader(made.destination, manifest).plain_lines())


def test_every_byte_of_a_manifest_counts(made: MadeArchive) -> None:
    data, chance = made.add(3, 2).data(), random.Random(12)
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= chance.randrange(1, 256)
        assert is_refused(bytes(altered)), place


@pytest.mark.parametrize("key", [new_key(), None])
def test_no_part_of_a_manifest_is_one(made: MadeArchive, key: None) -> None:
    made.key = key
    data = made.add(2).data()
    assert not is_refused(data)
    assert all(is_refused(data[:length]) for length in range(len(data)))
    assert is_refused(data + b"\n")


def test_a_file_that_is_cut_off_is_found_at_every_length(made: MadeArchive) -> None:
    manifest = made.add(3)
    path = Path(made.destination.uri) / f"{manifest.name}{DATA}"
    packed = path.read_bytes()
    for length in range(len(packed)):
        path.write_bytes(packed[:length])
        for told in (manifest, replace(manifest, size_bytes=length)):
            with pytest.raises(Damaged):
                whole(made, told)


@pytest.mark.parametrize(
    "behind", [b"\0", b"\n", gzip.compress(b""), gzip.compress(b"{}\n")], ids=["zero", "end", "empty", "line"]
)
def test_nothing_may_stand_behind_a_file(made: MadeArchive, behind: bytes) -> None:
    manifest = made.add(3)
    path = Path(made.destination.uri) / f"{manifest.name}{DATA}"
    path.write_bytes(path.read_bytes() + behind)
    with pytest.raises(Damaged, match="bytes instead of"):
        whole(made, manifest)
    with pytest.raises(Damaged, match="no file of lines"):
        whole(made, replace(manifest, size_bytes=path.stat().st_size))


@pytest.mark.parametrize(
    "line", [b"", b"[1]", b'{"id":"1"}', b'{"id":true}', b"{}", b"nonsense", b'{"id":1}}']
)
def test_what_is_no_row_is_damage(made: MadeArchive, line: bytes) -> None:
    rows = lines("changes", 1, 2)
    rows[0] = Line(1, rows[0].at, line)
    manifest = made.write(rows, [made.seal(rows)])
    with pytest.raises(Damaged, match="a line that is no row"):
        whole(made, manifest)


@pytest.mark.parametrize("order", [(2, 1, 3), (1, 1, 2), (1, 2, 4), (0, 1, 2)])
def test_ids_must_rise_within_their_range(made: MadeArchive, order: tuple[int, ...]) -> None:
    rows = [lines("changes", id, id)[0] for id in order]
    manifest = made.write(rows, [replace(made.seal(rows), first_id=1, last_id=3)])
    with pytest.raises(Damaged, match="does not belong where it stands"):
        whole(made, manifest)


def test_rows_that_no_seal_covers_are_damage(made: MadeArchive) -> None:
    rows = lines("changes", 1, 5)
    seal = made.seal(rows[:3])
    empty = replace(made.seal([]), last_id=5)
    with pytest.raises(Damaged, match="behind its last seal"):
        whole(made, made.write(rows, [seal, empty]))


def test_a_reader_opens_no_missing_file(made: MadeArchive) -> None:
    manifest = made.add(1)
    made.destination.remove(f"{manifest.name}{DATA}")
    with pytest.raises(Damaged, match="missing"):
        whole(made, manifest)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"first_id":1', b'"first_id":"1"'),
        (b'"first_id":1', b'"first_id":1.0'),
        (b'"first_id":1', b'"first_id":true'),
        (b'"first_id":1', b'"first_id":99999999999999999999'),
        (b'"number":1', b'"number":null'),
        (b'"number":1', b'"number":NaN'),
        (b'"stream":"changes","tool"', b'"stream":"others","tool"'),
        (b'"boots":{}', b'"boots":{"a":1}'),
        (b'"boots":{}', b'"boots":' + b'{"a":' * 900 + b"1" + b"}" * 900),
        (b'"tool":"tests"', b'"tool":"\\ud800"'),
        (b'"tool":"tests"', b'"tool":"tests","tool":"tests"'),
        (b'"tool":"tests"', b'"tool": "tests"'),
        (b',"tool":"tests"', b""),
        (b'"tool":"tests"', b'"tool":"tests","two":2'),
        (b'"format":1', b'"format":2'),
        (b"{", b"[{"),
    ],
)
def test_a_manifest_of_another_shape_is_refused_in_words(made: MadeArchive, old: bytes, new: bytes) -> None:
    data = made.add(2).data()
    assert old in data
    with pytest.raises(ValueError, match=r"^(it is no manifest|it is not written as|format 2 is|no seal)"):
        Manifest.parse(data.replace(old, new, 1))


def test_a_manifest_of_another_segment_is_refused(made: MadeArchive) -> None:
    first, second = made.add(2), made.add(2)
    with made.destination.writing(f"{first.name}{MANIFEST}") as file:
        file.write(second.data())
    with pytest.raises(ValueError, match=f"it is the manifest of {second.name}"):
        read_manifest(made.destination, first.name)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.core.evidence.large_segment"]
    few, many = (
        int(subprocess.check_output([*program, tmp_path / rows, rows], cwd=ROOT, text=True))
        for rows in ("20000", "300000")
    )
    assert many - few < 2 * 1024, "KiB more for fifteen times the rows"


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(TypeError), folder.writing("a.txt") as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]  # that is the failure
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_a_fault_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt.tmp").symlink_to("/dev/full")
    with pytest.raises(StorageFault, match="No space left"), Folder(tmp_path).writing("a.txt") as file:
        file.write(b"text")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_on_is_a_fault_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("/proc/self/mem")  # its beginning is no memory of ours
    with Folder(tmp_path).reading("a.txt") as file, pytest.raises(StorageFault, match="Input/output error"):
        file.read(1)


def test_drafts_are_swept_and_never_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt.tmp").touch()
    (tmp_path / "b.txt").touch()
    folder = Folder(tmp_path)
    assert folder.names("") == ["b.txt"]
    assert folder.sweep() == ["a.txt.tmp"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.txt"]


def test_a_folder_that_is_none_is_a_fault_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = Folder(tmp_path / "file")
    with pytest.raises(StorageFault, match="File exists"), folder.writing("a.txt"):
        raise AssertionError
    with pytest.raises(StorageFault, match="No such file"), Folder(tmp_path).reading("missing"):
        raise AssertionError


def is_refused(data: bytes) -> bool:
    try:
        return bool(Manifest.parse(data).faults())
    except ValueError:
        return True
