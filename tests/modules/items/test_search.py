from typing import Any
from urllib.parse import quote

import pytest

from tests.api import Api, Caller, assert_problem


@pytest.fixture
async def owner(api: Api) -> Caller:
    return await api.user(role="regular")


async def found(caller: Caller, question: str, more: str = "") -> list[str]:
    answer = await caller.get(f"items/search?q={quote(question, safe='')}{more}")
    assert answer.status_code == 200, answer.text
    return [item["title"] for item in answer.json()["items"]]


async def fill(caller: Caller, *texts: tuple[str, str | None]) -> None:
    for title, description in texts:
        body: dict[str, Any] = {"title": title, "description": description}
        assert (await caller.post("items", body)).status_code == 201


async def test_pieces_begin_words(owner: Caller) -> None:
    await fill(owner, ("Brass lamp", "stands on a table"), ("Lampshade", None), ("Clamp", "of steel"))
    assert await found(owner, "lamp") == ["Lampshade", "Brass lamp"]
    assert await found(owner, "  lamp\t brass ") == ["Brass lamp"]
    assert await found(owner, "lam tab") == ["Brass lamp"]
    assert await found(owner, "amp") == []
    assert await found(owner, "lamp steel") == []
    assert await found(owner, "table") == ["Brass lamp"]


async def test_title_hits_come_first_then_the_newest(owner: Caller) -> None:
    await fill(owner, ("Lamp one", None), ("Shade", "for a lamp"), ("Lamp two", None), ("Foot", "of a lamp"))
    assert await found(owner, "lamp") == ["Lamp two", "Lamp one", "Foot", "Shade"]
    assert await found(owner, "lamp", "&sort=created_at") == ["Lamp one", "Lamp two", "Shade", "Foot"]
    assert await found(owner, "lamp", "&per_page=2&page=2") == ["Foot", "Shade"]


async def test_cursor_walks_a_search(owner: Caller) -> None:
    await fill(owner, *((f"Lamp {n}", None) for n in range(3)), *((f"No {n}", "a lamp") for n in range(3)))
    whole = await found(owner, "lamp")
    walked: list[str] = []
    answer = (await owner.get("items/search?q=lamp&per_page=2")).json()
    while True:
        walked += [item["title"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = answer["next_cursor"]
        answer = (await owner.get(f"items/search?q=lamp&per_page=2&cursor={cursor}")).json()
    assert walked == whole
    assert_problem(await owner.get(f"items/search?q=lam&per_page=2&cursor={cursor}"), 400, "bad_request")


@pytest.mark.parametrize(
    ("title", "question"),
    [
        ("50% off", "50%"),
        ("%percent", "%"),
        ("_private name", "_"),
        ("snake_case", "snake_c"),
        ("C:\\temp", "c:\\"),
        ("\\backslash", "\\"),
        ('it\'s "quoted"', "it's"),
        ('say "hello"', '"hel'),
        ("Émile", "émi"),
        ("E\u0301cole", "éco"),
        ("Straße", "STRASSE"),
        ("STRASSE", "straß"),
        ("ＦＵＬＬ width", "full"),
        ("full width", "ＦＵＬ"),
        ("ÅNGSTRÖM", "ångström"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("foo-bar", "bar"),
        ("foo/bar", "foo/b"),
        ("日本語 text", "日本"),
        ("x😀", "x😀"),
        ("' OR 1=1 --", "' OR"),
    ],
)
async def test_text_is_literal_and_folded(owner: Caller, title: str, question: str) -> None:
    await fill(owner, (title, None), ("something else entirely", None))
    assert await found(owner, question) == [title]


@pytest.mark.parametrize(
    "question", ["%", "_", "\\", "%%", "__", "l%p", "l_mp", "[l]amp", "*", "?", "'", '"', "lamp%"]
)
async def test_patterns_match_nothing_but_themselves(owner: Caller, question: str) -> None:
    await fill(owner, ("lamp", "plain"))
    assert await found(owner, question) == []


async def test_beginning_is_not_the_middle_in_any_script(owner: Caller) -> None:
    await fill(owner, ("Émile", None))
    assert await found(owner, "mile") == []
    assert await found(owner, "Emile") == []  # an accent is a letter of its own


async def test_length_of_a_question(owner: Caller) -> None:
    await fill(owner, ("é" * 200, None))
    assert await found(owner, "é" * 200) == ["é" * 200]
    for bad in ("x" * 201, "", "a\x00b"):
        answer = await owner.get(f"items/search?q={quote(bad)}")
        assert_problem(answer, 422, "validation_error")
    assert_problem(await owner.get("items/search"), 422, "validation_error")


async def test_blank_question_finds_nothing(owner: Caller) -> None:
    await fill(owner, ("lamp", None))
    assert await found(owner, "   ") == []
    assert await found(owner, "\x1f\x1e") == []


async def test_many_pieces(owner: Caller) -> None:
    await fill(owner, ("a b c", None))
    assert await found(owner, " ".join("abc"[n % 3] for n in range(100))) == ["a b c"]


async def test_found_by_what_it_is_now(owner: Caller) -> None:
    item = (await owner.post("items", {"title": "lamp"})).json()
    await owner.patch(f"items/{item['id']}", {"title": "shade", "description": "once a thing"})
    assert await found(owner, "lamp") == []
    assert await found(owner, "shade thing") == ["shade"]


async def test_filters_hold_in_a_search(api: Api, owner: Caller) -> None:
    other = await api.user(role="regular")
    await fill(owner, ("lamp mine", None))
    await fill(other, ("lamp theirs", None))
    assert await found(owner, "lamp", f"&owner_id={other.id}") == ["lamp theirs"]
