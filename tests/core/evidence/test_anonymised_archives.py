"""Archives without whole addresses: the seals still verify, the contents don't prove themselves."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.evidence.anonymise import anonymised, sealed_leaf
from app.core.evidence.archive_check import check_archive
from app.core.evidence.canonical import Stream
from app.core.evidence.destinations import Folder
from app.core.evidence.merkle import leaf_of
from app.core.evidence.segment_files import Damaged, SegmentReader
from tests.core.evidence.made_archives import MadeArchive, line_of, lines, new_key, row

ADDRESSES = {
    "203.0.113.77": "203.0.113.0",
    "10.255.255.255": "10.255.255.0",
    "2001:db8:1234:5678::9": "2001:db8:1234::",
    "fe80::1%eth0": "fe80::",
    "::ffff:203.0.113.77": "203.0.113.0",
    "::1": "::",
    "unknown": None,
    None: None,
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_become_networks(address: str | None) -> None:
    line = line_of({**row("access", 1), "client_ip": address, "peer_ip": "192.0.2.200"})
    told = json.loads(anonymised(line).data)
    assert told.pop("$leaf") == leaf_of(line.data).hex()
    expected = {"client_ip": ADDRESSES[address], "peer_ip": "192.0.2.0", "forwarded_for": None}
    assert told == {**row("access", 1), **expected}


def test_an_address_that_was_forged_is_dropped() -> None:
    line = line_of({**row("access", 1), "client_ip": {"$raw": "x"}, "peer_ip": 7})
    told = json.loads(anonymised(line).data)
    assert (told["client_ip"], told["peer_ip"]) == (None, None)


def test_changes_have_no_chain_of_proxies_to_drop() -> None:
    line = line_of(row("changes", 9))
    told = json.loads(anonymised(line).data)
    assert told == {**row("changes", 9), "client_ip": "192.0.2.0", "$leaf": leaf_of(line.data).hex()}


@pytest.mark.parametrize("stream", ["access", "changes"])
def test_an_anonymised_archive_verifies_and_says_what_it_is(tmp_path: Path, stream: Stream) -> None:
    key = new_key()
    made = MadeArchive(Folder(tmp_path), key=key, stream=stream, anonymise=True)
    manifest = made.add(3, 0, 2)
    (report,) = check_archive(made.destination, streams=[stream], trusted=[key.public])
    assert report.ok, report.findings
    assert report.anonymised == [manifest.name]
    assert report.checked_rows == 5
    read = list(SegmentReader(made.destination, manifest).lines())
    assert [line.data for line in read] == [anonymised(line).data for line in lines(stream, 1, 5)]
    assert b"192.0.2.1" not in b"".join(line.data for line in read)


def test_rows_of_other_leaves_are_damage(tmp_path: Path) -> None:
    made = MadeArchive(Folder(tmp_path), anonymise=True)
    rows = lines("changes", 1, 3)
    manifest = made.write([rows[0], rows[2]._replace(id=2), rows[1]], [made.seal(rows)])
    with pytest.raises(Damaged, match="does not belong"):
        list(SegmentReader(made.destination, manifest).lines())
    altered = [rows[0], line_of({**row("changes", 2), "actor_id": "nobody"}), rows[2]]
    manifest = made.write(altered, manifest.all_seals)
    with pytest.raises(Damaged, match="not those that were sealed"):
        list(SegmentReader(made.destination, manifest).lines())


def test_lines_without_leaves_are_damage_where_leaves_are_promised(tmp_path: Path) -> None:
    made = MadeArchive(Folder(tmp_path))
    manifest = made.add(2)
    with pytest.raises(Damaged, match="an anonymised line without its leaf"):
        list(SegmentReader(made.destination, replace(manifest, anonymised=True)).lines())
    for data in (
        b"",
        b'{"$leaf":"ab"}',
        b'{"$leaf":"' + b"z" * 64 + b'"}',
        b'{"$leaf":"' + b"0" * 65 + b'"}',
    ):
        with pytest.raises(ValueError, match=r"leaf|hexadecimal"):
            sealed_leaf(data)
