"""A whole archive is verified without a database: each thing that can be done to it is named."""

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.evidence.archive_check import ArchiveReport, check_archive
from app.core.evidence.destinations import Folder, StorageFault
from app.core.evidence.manifest import DATA, MANIFEST, PARQUET, Manifest
from app.core.evidence.signing import SealKey
from app.core.evidence.tombstones import TOMBSTONE, Tombstone, expire
from tests.core.evidence.made_archives import START, MadeArchive, line_of, lines, new_key, row

KEY, THIEF = new_key(), new_key()
Attack = Callable[["Place"], Any]


class Place:
    """Four segments of a folder, and what can be done to them."""

    def __init__(self, folder: Path, key: SealKey | None = KEY) -> None:
        self.folder = folder
        self.made = MadeArchive(Folder(folder), key=key)
        for counts in ((3, 2), (4,), (0, 2), (1, 1)):
            self.made.add(*counts)
        self.names = [manifest.name for manifest in self.made.manifests]

    def path(self, number: int, suffix: str = DATA) -> Path:
        return self.folder / f"{self.names[number]}{suffix}"

    def check(self, *trusted: str) -> ArchiveReport:
        (report,) = check_archive(self.made.destination, streams=["changes"], trusted=trusted)
        return report

    def lose(self, number: int) -> None:
        self.path(number).unlink()
        self.path(number, MANIFEST).unlink()

    def swap(self, one: Path, other: Path) -> None:
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)

    def rewrite(self, number: int, ids: list[int], key: SealKey | None, **changes: Any) -> Manifest:
        """A segment of other rows: all that needs no key of ours is made to fit."""
        old = self.made.manifests[number]
        forger = MadeArchive(self.made.destination, key=key)
        rows = [line_of({**row("changes", id), **changes}) for id in ids]
        return forger.write(rows, old.all_seals, name=old.name, previous=old.previous)

    def reseal(self, number: int, ids: list[int], key: SealKey | None) -> Manifest:
        """The same with seals that fit the rows."""
        old = self.made.manifests[number]
        before = self.made.manifests[number - 1].all_seals[-1]
        forger = MadeArchive(self.made.destination, key=key, last_seal=before)
        rows = [line_of(row("changes", id)) for id in ids]
        return forger.write(rows, [forger.seal(rows)], name=old.name, previous=old.previous)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Signed by KEY: rows 1 to 5, 6 to 9, 10 to 11, 12 to 13."""
    return Place(tmp_path / "archive")


def test_an_untouched_archive_is_whole(place: Place) -> None:
    told: list[int] = []
    (report,) = check_archive(
        place.made.destination, streams=["changes"], trusted=[KEY.public], on_row_count=told.append
    )
    assert report.told() == {
        "ok": True,
        "stream": "changes",
        "segments": 4,
        "checked_rows": 13,
        "seals": 7,
        "signatures": "checked",
        "expired": [],
        "anonymised": [],
        "absent": [],
        "findings": [],
    }
    assert sum(told) == 13
    assert place.check().signatures == "unchecked"
    assert place.check().ok


def test_an_archive_that_nobody_signed_is_whole_as_long_as_nobody_is_trusted(tmp_path: Path) -> None:
    place = Place(tmp_path, key=None)
    assert place.check().ok
    assert place.check().signatures == "none"
    assert {finding.kind for finding in place.check(KEY.public).findings} == {"bad_signature"}


def test_both_logs_are_checked_and_nothing_is_in_an_empty_place(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "archive")
    assert [report.ok for report in check_archive(folder)] == [True, True]
    MadeArchive(folder, key=KEY, stream="access").add(3)
    MadeArchive(folder, key=KEY, stream="changes").add(4)
    assert [(one.stream, one.checked_rows, one.ok) for one in check_archive(folder)] == [
        ("access", 3, True),
        ("changes", 4, True),
    ]


def forge_in_the_middle(place: Place) -> None:
    place.rewrite(1, [6, 7, 8, 9], KEY, actor_id="nobody")


ATTACKS: dict[str, tuple[Attack, str, str, int]] = {
    # What is done, what is found, in which words, in which segment.
    "file missing": (lambda it: it.path(1).unlink(), "file", "the file is missing", 1),
    "file cut off": (
        lambda it: it.path(1).write_bytes(it.path(1).read_bytes()[:-9]),
        "file",
        "bytes instead",
        1,
    ),
    "file empty": (lambda it: it.path(1).write_bytes(b""), "file", "0 bytes instead", 1),
    "files swapped": (lambda it: it.swap(it.path(0), it.path(1)), "file", "bytes instead of", 0),
    "manifest missing": (lambda it: it.path(1, MANIFEST).unlink(), "file", "has no manifest", 1),
    "manifest missing, after it": (
        lambda it: it.path(1, MANIFEST).unlink(),
        "segment",
        "written before it",
        2,
    ),
    "manifests swapped": (
        lambda it: it.swap(it.path(0, MANIFEST), it.path(1, MANIFEST)),
        "manifest",
        "it is the manifest of changes-000000000006",
        0,
    ),
    "segment missing": (
        lambda it: it.lose(1),
        "segment",
        "the manifest that was written before it is missing",
        2,
    ),
    "first segment missing": (
        lambda it: it.lose(0),
        "segment",
        "the manifest that was written before it is missing",
        1,
    ),
    "stray copy": (lambda it: shutil.copy(it.path(1), it.folder / f"other{DATA}"), "file", "no manifest", -1),
    "stray tombstone": (
        lambda it: (it.folder / f"other{TOMBSTONE}").write_bytes(b"{}"),
        "file",
        "has no manifest",
        -1,
    ),
    "one row changed": (forge_in_the_middle, "file", "rows 6 to 9 are not those that were sealed", 1),
    "row dropped": (lambda it: it.rewrite(1, [6, 7, 9], KEY), "file", "rows 6 to 9 are not those", 1),
    "row dropped, count": (lambda it: it.rewrite(1, [6, 7, 9], KEY), "manifest", "its count is not", 1),
    "rows reordered": (lambda it: it.rewrite(1, [6, 8, 7, 9], KEY), "file", "row 7 does not belong", 1),
    "row doubled": (lambda it: it.rewrite(1, [6, 6, 8, 9], KEY), "file", "row 6 does not belong", 1),
    "resealed by a thief": (lambda it: it.reseal(1, [6, 7, 9], THIEF), "bad_signature", "not trusted", 1),
    "resealed, the next": (lambda it: it.reseal(1, [6, 7, 9], THIEF), "chain", "does not follow from", 2),
    "resealed, the manifest after": (
        lambda it: it.reseal(1, [6, 7, 9], THIEF),
        "segment",
        "missing, or was altered",
        2,
    ),
    "resealed without a key": (lambda it: it.reseal(1, [6, 7, 9], None), "chain", "does not follow from", 2),
    "end resealed by a thief": (lambda it: it.reseal(3, [12, 13], THIEF), "bad_signature", "not trusted", 3),
    "end resealed without a key": (
        lambda it: it.reseal(3, [12, 13], None),
        "bad_signature",
        "no signed manifest covers it",
        3,
    ),
    "signed anew by a thief": (
        lambda it: it.made.put_manifest(it.made.manifests[3].signed(THIEF)),
        "bad_signature",
        "which is not trusted",
        3,
    ),
    "signature removed": (
        lambda it: it.made.put_manifest(replace(it.made.manifests[3], signature=None)),
        "manifest",
        "signature was removed",
        3,
    ),
    "signature of another": (
        lambda it: it.made.put_manifest(
            replace(it.made.manifests[3], signature=it.made.manifests[2].signature)
        ),
        "manifest",
        "signature does not fit",
        3,
    ),
    "key that is none": (
        lambda it: it.made.put_manifest(replace(it.made.manifests[3], public_key="zz")),
        "manifest",
        "was altered",
        3,
    ),
    "seals of another form": (
        lambda it: it.made.put_manifest(replace(it.made.manifests[3], form=7).signed(KEY)),
        "manifest",
        "its form is not that of its seals",
        3,
    ),
    "columns of another form": (
        lambda it: it.made.put_manifest(replace(it.made.manifests[3], columns=("id",)).signed(KEY)),
        "manifest",
        "its columns are not",
        3,
    ),
    "times of others": (
        lambda it: it.made.put_manifest(replace(it.made.manifests[3], min_at="2030").signed(KEY)),
        "manifest",
        "its times are not",
        3,
    ),
    "range of others": (
        lambda it: it.made.put_manifest(replace(it.made.manifests[3], last_id=99).signed(KEY)),
        "manifest",
        "its range is not",
        3,
    ),
    "no seals": (
        lambda it: it.made.put_manifest(replace(it.made.manifests[3], seals=()).signed(KEY)),
        "manifest",
        "no seals cover it",
        3,
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_done_to_an_archive_is_named(place: Place, attack: str) -> None:
    act, kind, what, number = ATTACKS[attack]
    act(place)
    report = place.check(KEY.public)
    assert not report.ok
    found = [one.segment for one in report.findings if one.kind == kind and what in one.what]
    assert (place.names[number] if number >= 0 else "other") in found, report.findings


@pytest.mark.parametrize("attack", [name for name in ATTACKS if "thief" not in name])
def test_most_of_it_is_seen_without_any_key(place: Place, attack: str) -> None:
    ATTACKS[attack][0](place)
    assert not place.check().ok


def test_every_byte_of_an_archive_counts(tmp_path: Path) -> None:
    """Seen with the public key; each place once, with one other value."""
    place, chance = Place(tmp_path), random.Random(3)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        for at in chance.sample(range(len(content)), 12):
            altered = bytearray(content)
            altered[at] ^= chance.randrange(1, 256)
            path.write_bytes(altered)
            assert not place.check(KEY.public).ok, (path.name, at)
        path.write_bytes(content)
    assert place.check(KEY.public).ok


def test_an_archive_of_somebody_else_is_not_ours(tmp_path: Path) -> None:
    place = Place(tmp_path, key=THIEF)
    assert place.check().ok
    assert {finding.kind for finding in place.check(KEY.public).findings} == {"bad_signature"}


def test_a_segment_of_somebody_else_among_ours_is_found(place: Place, tmp_path: Path) -> None:
    other = MadeArchive(Folder(tmp_path / "other"), key=THIEF)
    other.add(13)
    other.add(5)
    for path in (tmp_path / "other").glob("changes-000000000014*"):
        shutil.copy(path, place.folder)
    found = {finding.kind for finding in place.check().findings}
    assert {"chain", "segment"} <= found


def test_two_segments_of_the_same_rows_are_found(place: Place) -> None:
    old = place.made.manifests[1]
    double = MadeArchive(place.made.destination, key=KEY)
    double.write(lines("changes", 6, 9), old.all_seals, name="changes-copy", previous=old.previous)
    shutil.move(place.path(1), place.folder / f"changes-copy{DATA}.kept")
    kinds = {(finding.kind, finding.what.split(" changes")[0]) for finding in place.check().findings}
    assert ("segment", "it follows the same manifest as") in kinds
    assert ("missing_seal", "it stands in a wrong place") in kinds


def test_drafts_and_copies_are_no_findings(place: Place) -> None:
    (place.folder / f"changes-000000000014-000000000015{DATA}.tmp").write_bytes(b"half")
    (place.folder / ".archive.lock").touch()
    place.path(1, PARQUET).write_bytes(b"a copy")
    assert place.check(KEY.public).ok


def test_a_place_that_cannot_be_read_is_no_damage(tmp_path: Path) -> None:
    place = Place(tmp_path)
    path = place.path(1)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(StorageFault, match="Too many levels"):
        place.check()


def test_keys_that_hand_over_to_each_other_are_trusted_both_ways(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    made = MadeArchive(Folder(tmp_path), key=old)
    made.add(2)
    made.add(2, 1, successor=new)
    made.add(3)
    for trusted in (old.public, new.public):
        (report,) = check_archive(made.destination, streams=["changes"], trusted=[trusted])
        assert report.ok, report.findings
    (report,) = check_archive(made.destination, streams=["changes"], trusted=[THIEF.public])
    assert len(report.findings) == 5


def test_a_key_that_took_over_since_is_linked_by_what_is_not_archived_yet(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    made = MadeArchive(Folder(tmp_path), key=old)
    made.add(2)
    later = made.seal([], successor=new)
    (report,) = check_archive(made.destination, streams=["changes"], trusted=[new.public])
    assert {finding.kind for finding in report.findings} == {"bad_signature"}
    (report,) = check_archive(made.destination, streams=["changes"], trusted=[new.public], handovers=[later])
    assert report.ok, report.findings
    forged = replace(later, next_public_key=THIEF.public, next_signature=THIEF.sign(later.seal_hash))
    (report,) = check_archive(
        made.destination, streams=["changes"], trusted=[THIEF.public], handovers=[forged]
    )
    assert not report.ok


def test_an_archive_that_was_unsigned_at_first_is_covered_by_what_is_signed(tmp_path: Path) -> None:
    made = MadeArchive(Folder(tmp_path))
    made.add(2)
    made.add(2)
    made.key = KEY
    made.add(2)
    (report,) = check_archive(made.destination, streams=["changes"], trusted=[KEY.public])
    assert report.ok, report.findings


def test_ranges_that_are_elsewhere_are_told_and_are_no_findings(tmp_path: Path) -> None:
    made = MadeArchive(Folder(tmp_path), key=KEY)
    made.add(2)
    made.seal(lines("changes", 3, 5))
    made.seal([])
    made.add(2, 2)
    (report,) = check_archive(made.destination, streams=["changes"], trusted=[KEY.public])
    assert report.ok, report.findings
    assert report.absent == [{"first_id": 3, "last_id": 5}]


def test_a_seal_that_is_missing_inside_a_segment_is_no_gap(tmp_path: Path) -> None:
    made = MadeArchive(Folder(tmp_path), key=KEY)
    manifest = made.add(2, 0, 2)
    made.put_manifest(replace(manifest, seals=(manifest.seals[0], manifest.seals[2])).signed(KEY))
    (report,) = check_archive(made.destination, streams=["changes"], trusted=[KEY.public])
    assert {finding.kind for finding in report.findings} == {"chain", "missing_seal"}
    assert {finding.segment for finding in report.findings} == {manifest.name}


def buried(place: Place, number: int, key: SealKey | None = KEY) -> Tombstone:
    return expire(
        place.made.destination,
        place.made.manifests[number],
        key=key,
        at=START,
        by="root",
        reason="Old enough.",
    )


def test_what_expired_is_told_and_is_no_finding(place: Place) -> None:
    place.path(0, PARQUET).write_bytes(b"a copy")
    first = buried(place, 0)
    assert buried(place, 0) == first, "again: nothing changes"
    assert not place.path(0).exists()
    assert not place.path(0, PARQUET).exists()
    report = place.check(KEY.public)
    assert report.ok, report.findings
    assert report.expired == [place.names[0]]
    assert report.checked_rows == 8


@pytest.mark.parametrize("trusted", [(), (KEY.public,)])
def test_only_a_tombstone_that_fits_excuses_a_missing_file(place: Place, trusted: tuple[str, ...]) -> None:
    fitting = buried(place, 1)
    grave = place.path(1, TOMBSTONE)
    for data, what in (
        (replace(fitting, reason="None.").data(), "the tombstone was altered"),
        (replace(fitting, name=place.names[2]).signed(KEY).data(), "of another segment"),
        (replace(fitting, manifest_sha256="0" * 64).signed(KEY).data(), "of another segment"),
        (fitting.signed(None).data(), "the tombstone is not signed"),
        (replace(fitting, signature=None).data(), "signature was removed"),
        (fitting.data()[:-2], "it is no tombstone"),
        (b"", "it is no tombstone"),
    ):
        grave.write_bytes(data)
        report = place.check(*trusted)
        assert [finding.segment for finding in report.findings] == [place.names[1]] * len(report.findings)
        assert any(what in finding.what for finding in report.findings), report.findings
        with pytest.raises(StorageFault):
            buried(place, 1)


def test_a_tombstone_of_somebody_else_counts_as_little_as_their_manifest(place: Place) -> None:
    buried(place, 1, THIEF)
    assert place.check().ok
    (finding,) = place.check(KEY.public).findings
    assert finding.what.endswith("which is not trusted")


def test_an_unsigned_tombstone_does_for_an_unsigned_manifest_only(tmp_path: Path) -> None:
    place = Place(tmp_path, key=None)
    buried(place, 1, None)
    assert place.check().ok
    assert any("tombstone is not signed" in one.what for one in place.check(KEY.public).findings)
