"""Questions to files of an archive have the answers that a plain filter over all rows has."""

import json
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from app.core.evidence.archive_query import Wanted, query
from app.core.evidence.canonical import instant_text
from app.core.evidence.destinations import Destination, Folder
from app.core.evidence.manifest import DATA, MANIFEST
from app.core.evidence.segment_files import Damaged
from app.core.evidence.tombstones import TOMBSTONE, expire
from tests.core.evidence.made_archives import DAY, START, MadeArchive, line_of, new_key, row

ZONE = timezone(timedelta(hours=5))
QUESTIONS: list[dict[str, Any]] = [
    {},
    {"actor_id": "actor-1"},
    {"actor_id": "actor-9"},
    {"request_id": "request-20"},
    {"entity": "things", "entity_id": 'key "3" é'},
    {"entity": "thing"},
    {"since": START + 3 * DAY},
    {"until": START + 3 * DAY},
    {
        "since": START + 2 * DAY + timedelta(microseconds=1),
        "until": START + 4 * DAY + timedelta(microseconds=1),
    },
    {"since": (START + 2 * DAY).astimezone(ZONE), "actor_id": "actor-2", "entity": "things"},
    {"since": START + 900 * DAY},
    {"until": START - 900 * DAY},
]


@pytest.fixture
def made(tmp_path: Path) -> MadeArchive:
    """60 rows of changes in four segments, 20 of access in one."""
    folder = Folder(tmp_path / "archive")
    MadeArchive(folder, stream="access").add(20)
    made = MadeArchive(folder, key=new_key())
    for counts in ((10, 5), (15,), (0, 15), (15,)):
        made.add(*counts)
    return made


def fits(told: dict[str, Any], question: dict[str, Any]) -> bool:
    since, until = (
        instant_text(moment.astimezone(START.tzinfo)) if moment else None for moment in ends(question)
    )
    if since is not None and told["occurred_at"] < since:
        return False
    if until is not None and told["occurred_at"] >= until:
        return False
    return all(told.get(name) == value for name, value in question.items() if isinstance(value, str))


def ends(question: dict[str, Any]) -> tuple[Any, Any]:
    return question.get("since"), question.get("until")


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_answer_is_that_of_a_plain_filter(made: MadeArchive, question: dict[str, Any]) -> None:
    expected = [line.data for line in made.lines if fits(json.loads(line.data), question)]
    assert list(query(made.destination, Wanted("changes", **question))) == expected


def test_most_questions_of_the_test_have_answers() -> None:
    rows = [row("changes", id) for id in range(1, 61)]
    answered = [question for question in QUESTIONS if any(fits(told, question) for told in rows)]
    assert len(answered) == len(QUESTIONS) - 4


def test_each_log_answers_for_itself(made: MadeArchive) -> None:
    assert len(list(query(made.destination, Wanted("access")))) == 20
    assert len(list(query(made.destination, Wanted("access", request_id="request-3")))) == 2
    assert not list(query(made.destination, Wanted("access", entity="things")))


def test_files_of_other_times_are_not_opened(made: MadeArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    reading = Folder.reading

    def spy(folder: Folder, name: str) -> Any:
        opened.append(name)
        return reading(folder, name)

    monkeypatch.setattr(Folder, "reading", spy)
    assert list(query(made.destination, Wanted("changes", until=START + DAY)))
    assert [name for name in opened if name.endswith(DATA)] == [
        f"{manifest.name}{DATA}" for manifest in made.manifests[:2]
    ], "a late row is in the second"


def test_rows_without_an_instant_fit_no_time(made: MadeArchive) -> None:
    rows = [line_of({**row("changes", 61), "occurred_at": "?"}), *[line_of(row("changes", 62))]]
    rows[0] = rows[0]._replace(at="", data=rows[0].data.replace(b'"?"', b'{"$raw":"?"}'))
    made.write(rows, [made.seal(rows)])
    asked = list(query(made.destination, Wanted("changes", since=START + 5 * DAY)))
    assert rows[1].data in asked
    assert rows[0].data not in asked
    assert rows[0].data in list(query(made.destination, Wanted("changes")))


def spoil_file(destination: Destination, name: str) -> None:
    path = Path(destination.uri) / f"{name}{DATA}"
    content = bytearray(path.read_bytes())
    content[4] ^= 1  # the time in the header, which no reader minds
    path.write_bytes(content)


def test_a_file_that_is_not_whole_ends_in_damage(made: MadeArchive) -> None:
    name = made.manifests[1].name
    spoil_file(made.destination, name)
    answer = query(made.destination, Wanted("changes"))
    assert [next(answer) for _ in range(30)] == [line.data for line in made.lines[:30]]
    with pytest.raises(Damaged, match=f"^{name}: its bytes are not"):
        next(answer)


def test_a_file_or_manifest_that_is_missing_or_altered_is_damage(made: MadeArchive) -> None:
    name = made.manifests[2].name
    folder = Path(made.destination.uri)
    content = (folder / f"{name}{MANIFEST}").read_bytes()
    (folder / f"{name}{MANIFEST}").write_bytes(content.replace(b'"tool":"tests"', b'"tool":"tasks"'))
    with pytest.raises(Damaged, match="the manifest was altered"):
        list(query(made.destination, Wanted("changes")))
    (folder / f"{name}{MANIFEST}").write_bytes(b"{}")
    with pytest.raises(Damaged, match="it is no manifest"):
        list(query(made.destination, Wanted("changes")))
    (folder / f"{name}{MANIFEST}").write_bytes(content)
    (folder / f"{name}{DATA}").unlink()
    with pytest.raises(Damaged, match="the file is missing"):
        list(query(made.destination, Wanted("changes")))


def test_a_line_that_is_no_row_is_damage(made: MadeArchive) -> None:
    rows = [line_of(row("changes", 61))]
    for nonsense in (b"[]", b"no JSON"):
        rows[0] = rows[0]._replace(data=nonsense)
        made.write(rows, [made.seal(rows)])
        with pytest.raises(Damaged, match="a line that is no row"):
            list(query(made.destination, Wanted("changes", since=START)))


def test_what_expired_is_left_out(made: MadeArchive) -> None:
    expire(made.destination, made.manifests[0], key=made.key, at=START, by="root", reason="Old enough.")
    assert list(query(made.destination, Wanted("changes"))) == [line.data for line in made.lines[15:]]
    grave = Path(made.destination.uri) / f"{made.manifests[0].name}{TOMBSTONE}"
    grave.write_bytes(grave.read_bytes().replace(b"Old", b"Odd"))
    with pytest.raises(Damaged, match="the file is missing"):
        list(query(made.destination, Wanted("changes")))
    grave.write_bytes(b"")
    with pytest.raises(Damaged, match="no tombstone"):
        list(query(made.destination, Wanted("changes")))
