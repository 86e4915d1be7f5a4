"""An object store is as good a place as a folder, for archives and for anchors."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from app.core.evidence.anchors import Anchor, AnchorFault, FileAnchor, Head
from app.core.evidence.archive_check import check_archive
from app.core.evidence.archive_query import Wanted, query
from app.core.evidence.canonical import Stream
from app.core.evidence.destinations import Destination, Folder, StorageFault
from app.core.evidence.manifest import DATA, MANIFEST
from app.core.evidence.object_stores import ObjectAnchor, ObjectStore
from app.core.evidence.parquet import copy_to_parquet
from app.core.evidence.places import open_anchor, open_destination
from app.core.evidence.tombstones import expire
from tests.core.evidence.bucket_server import Bucket, bucket
from tests.core.evidence.made_archives import START, MadeArchive, new_key, read

PLACES = ("folder", "local", "memory", "s3")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket, and the variables that lead to it."""
    with bucket() as server:
        monkeypatch.setenv("AWS_ENDPOINT", server.url)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield server


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    """Each kind of place, empty."""
    if request.param == "s3":
        request.getfixturevalue("served")
    make: dict[str, Callable[[], Destination]] = {
        "folder": lambda: Folder(tmp_path / "archive"),
        "local": lambda: ObjectStore("local://", LocalStore(tmp_path, mkdir=True)),
        "memory": lambda: ObjectStore("memory://", MemoryStore()),
        "s3": lambda: open_destination("s3://bucket/some/prefix"),
    }
    return make[request.param]()


def put(place: Destination, name: str, content: bytes) -> None:
    with place.writing(name) as file:
        file.write(content)


def test_files_are_named_measured_read_and_removed(place: Destination) -> None:
    assert place.names("") == []
    large = bytes(range(256)) * 20_000
    put(place, "b.txt", large)
    put(place, "a.txt", b"")
    put(place, "c.other", b"c")
    assert place.names(".txt") == ["a.txt", "b.txt"]
    assert [place.size(name) for name in ("a.txt", "b.txt", "none.txt")] == [0, len(large), None]
    assert read(place, "b.txt") == large
    with place.reading("b.txt") as file:
        assert file.read(300) == large[:300]
        assert b"".join(iter(lambda: file.read(70_000), b"")) == large[300:]
    for _ in range(2):
        place.remove("b.txt")
    assert place.names(".txt") == ["a.txt"]
    assert place.sweep() == []


def test_a_file_is_there_whole_or_not_at_all(place: Destination) -> None:
    with pytest.raises(TypeError), place.writing("half.txt") as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]  # that is the failure
    assert place.names("") == []


def test_a_fault_of_somebody_else_keeps_its_name_while_a_file_is_written(place: Destination) -> None:
    with pytest.raises(ConnectionRefusedError), place.writing("half.txt"):
        raise ConnectionRefusedError
    assert place.names("") == []


def test_what_is_missing_is_a_fault_that_names_it(place: Destination) -> None:
    with pytest.raises(StorageFault, match=r"none\.txt"), place.reading("none.txt"):
        raise AssertionError


def test_the_same_may_be_written_twice(place: Destination) -> None:
    for _ in range(2):
        put(place, "a.txt", b"same")
    assert read(place, "a.txt") == b"same"


def test_archives_live_in_all_places(place: Destination, tmp_path: Path) -> None:
    key = new_key()
    made = MadeArchive(place, key=key)
    for _ in range(3):
        made.add(30, 20)
    expire(place, made.manifests[0], key=key, at=START, by="root", reason="Old enough.")
    copy = copy_to_parquet(place, made.manifests[1])
    (report,) = check_archive(place, streams=["changes"], trusted=[key.public])
    assert report.ok, report.findings
    assert (report.checked_rows, report.expired) == (100, [made.manifests[0].name])
    assert list(query(place, Wanted("changes"))) == [line.data for line in made.lines[50:]]

    twin = MadeArchive(Folder(tmp_path / "twin"), key=key)
    for _ in range(3):
        twin.add(30, 20)
    assert copy_to_parquet(twin.destination, twin.manifests[1]) == copy
    for name in (f"{made.manifests[2].name}{DATA}", f"{made.manifests[2].name}{MANIFEST}", copy):
        assert read(place, name) == read(twin.destination, name), "the same bytes everywhere"


@pytest.mark.parametrize("place", PLACES[1:], indirect=True)
def test_an_object_is_not_overwritten_by_another(place: Destination) -> None:
    put(place, "a.txt", b"first")
    with pytest.raises(StorageFault, match=r"a\.txt: another object of this name is there"):
        put(place, "a.txt", b"other")
    assert read(place, "a.txt") == b"first"


def test_a_store_without_conditions_is_asked_before(served: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    place = open_destination("s3://bucket/prefix")
    put(place, "a.txt", b"first")
    put(place, "a.txt", b"first")
    with pytest.raises(StorageFault, match="another object"):
        put(place, "a.txt", b"other")
    opened_anchor("s3://bucket/heads").add([head("access", 1)])
    path = "heads/access/000000000001.head.json"
    assert served.objects == {"prefix/a.txt": b"first", path: head("access", 1).line()}


def test_objects_deeper_in_the_bucket_are_not_of_the_archive(served: Bucket) -> None:
    served.objects |= {"prefix/a.txt": b"", "prefix/deeper/b.txt": b"", "c.txt": b""}
    assert open_destination("s3://bucket/prefix").names(".txt") == ["a.txt"]
    assert all("AWS4-HMAC-SHA256" in request for request in served.requests), (
        "with the keys of the environment"
    )


def test_a_locked_object_stays_and_the_store_says_why(served: Bucket) -> None:
    made = MadeArchive(open_destination("s3://bucket/prefix"))
    manifest = made.add(3)
    served.locked = {f"prefix/{manifest.name}{DATA}"}
    with pytest.raises(StorageFault, match="Object is locked until 2030"):
        expire(made.destination, manifest, key=None, at=START, by="root", reason="Old enough.")
    (report,) = check_archive(made.destination, streams=["changes"])
    assert (report.ok, report.checked_rows, report.expired) == (True, 3, [])


def test_a_store_that_cannot_be_reached_is_a_fault_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    with pytest.raises(StorageFault) as fault:
        open_destination("s3://bucket").names("")
    assert str(fault.value).startswith("s3://bucket/: Generic S3 error")
    assert "\n" not in str(fault.value)
    assert "very-secret" not in str(fault.value)


@pytest.mark.parametrize("uri", ["s3://bucket/prefix", "gs://bucket", "az://account/container"])
def test_a_missing_package_is_named_with_its_command(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "app.core.evidence.object_stores")
    monkeypatch.setitem(sys.modules, "obstore", None)
    for opened in (open_destination, open_anchor):
        with pytest.raises(
            ValueError, match=r"needs the package obstore: pip .* -r requirements-archive\.txt"
        ):
            opened(uri)


@pytest.mark.parametrize("uri", ["", "http://host/path", "ftp://host", "s3:///"])
def test_what_is_no_place_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"is no place for an archive|s3:///"):
        open_destination(uri)


def test_folders_are_opened_by_path_and_by_uri(tmp_path: Path) -> None:
    for uri in (str(tmp_path / "a b"), f"file://{tmp_path}/a%20b", f"file://localhost{tmp_path}/a%20b"):
        opened = open_destination(uri)
        assert isinstance(opened, Folder)
        assert opened.path == tmp_path / "a b"


def head(stream: Stream, number: int) -> Head:
    return Head(stream, number, number * 10, f"{number:064}", "2026-01-01T00:00:00.000000Z")


@pytest.fixture(params=["file", "memory", "s3"])
def anchors(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Anchor]:
    """One anchor, opened as often as one likes."""
    if request.param == "file":
        return lambda: FileAnchor(tmp_path / "anchor")
    if request.param == "s3":
        request.getfixturevalue("served")
        return lambda: opened_anchor("s3://bucket/heads")
    store = MemoryStore()
    return lambda: ObjectAnchor("memory://", store)


def opened_anchor(uri: str) -> Anchor:
    found = open_anchor(uri)
    assert found is not None
    return found


def test_heads_are_kept_once_and_in_order(anchors: Callable[[], Anchor]) -> None:
    ours, theirs = anchors(), anchors()
    assert ours.newest() == {"access": 0, "changes": 0}
    assert ours.heads() == []
    ours.add([head("changes", 1), head("changes", 2)])
    theirs.add([head("changes", 2), head("changes", 11), head("access", 5)])
    ours.add([head("changes", 11), head("access", 4)])
    assert ours.newest() == theirs.newest() == {"access": 5, "changes": 11}
    kept = {
        stream: [one for one in anchors().heads() if one.stream == stream] for stream in ("access", "changes")
    }
    assert kept == {
        "access": [head("access", 5)],
        "changes": [head("changes", number) for number in (1, 2, 11)],
    }


def test_an_anchor_asks_only_for_what_is_new(served: Bucket) -> None:
    anchor = opened_anchor("s3://bucket/heads")
    anchor.add([head("changes", 7)])
    anchor.newest()
    served.requests.clear()
    anchor.newest()
    assert any(
        "start-after=heads%2Fchanges%2F000000000007.head.json" in request for request in served.requests
    )


def test_an_anchor_does_not_overwrite_what_another_was_quicker_with(served: Bucket) -> None:
    anchor = opened_anchor("s3://bucket")
    kept = head("changes", 1)
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(
            ObjectAnchor, "newest", lambda _: {"access": 0, "changes": 0}
        )
        anchor.add([kept])
        anchor.add([Head("changes", 1, 99, "f" * 64, kept.sealed_at)])
    assert anchor.heads() == [kept]


def test_what_is_no_head_is_a_fault(served: Bucket) -> None:
    anchor = opened_anchor("s3://bucket/heads")
    served.objects["heads/changes/000000000003.head.json"] = b"[]"
    with pytest.raises(AnchorFault, match=r"changes/000000000003\.head\.json is no head of a log"):
        anchor.heads()
    served.objects["heads/changes/some.head.json"] = b"{}"
    with pytest.raises(AnchorFault, match=r"some\.head\.json is no head of a log"):
        anchor.newest()


def test_an_anchor_that_cannot_be_reached_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(AnchorFault, match="s3://bucket: Generic S3 error"):
        opened_anchor("s3://bucket").add([head("access", 1)])
