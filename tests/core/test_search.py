"""Search by beginnings of words: one oracle, equal answers of both databases."""

import random
from urllib.parse import quote

import pytest

from app.core.search import END_OF_FIRST, WORD, folded, marked, pieces
from tests.api import Api
from tests.backend import RunningApp
from tests.core.people import add_people


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("Brass lamp", "|brass |lamp"),
        ("  two   words ", "  |two   |words "),
        ("foo-bar", "|foo-|bar"),
        ("a@b.example", "|a@|b.|example"),
        ("snake_case", "|snake_|case"),
        ("50% off", "|50% |off"),
        ("%", "|%"),
        ("don't", "|don'|t"),
        ("Straße ＦＵＬＬ ﬁn", "|strasse |full |fin"),
        ("E\u0301cole", "|école"),
        ("\u0130stanbul", "|i\u0307stanbul"),
        ("हिन्दी भाषा", "|हिन्दी |भाषा"),
        ("שָׁלוֹם", "|שָׁלוֹם"),
        (f"a{WORD}b{END_OF_FIRST}c", "|a |b |c"),
    ],
)
def test_marks_stand_before_beginnings(text: str, expected: str) -> None:
    assert marked(text).replace(WORD, "|") == expected


def test_pieces_of_a_question() -> None:
    assert pieces("  Lamp brass\tLAMP ") == [f"{WORD}lamp", f"{WORD}brass"]
    assert pieces(" \t ") == []
    assert pieces(f"{WORD}{END_OF_FIRST}") == []


def test_folding_is_stable() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        text = "".join(
            chr(chance.choice([chance.randrange(0x20, 0xD800), chance.randrange(0xE000, 0x2FFFF)]))
            for _ in range(4)
        )
        assert folded(folded(text)) == folded(text)


def is_found(text: str, question: str) -> bool:
    """The oracle: each part of the question stands where a word begins."""
    whole, parts = folded(text), folded(question).split()
    starts = [
        i
        for i, char in enumerate(whole)
        if not char.isspace() and (i == 0 or whole[i - 1].isspace() or is_break(whole[i - 1], char))
    ]
    return bool(parts) and all(any(whole.startswith(part, i) for i in starts) for part in parts)


def is_break(before: str, char: str) -> bool:
    wordlike = char.isalnum() or char == "_"
    return (wordlike and not (before.isalnum() or before == "_")) or (before == "_" and char.isalnum())


ALPHABET = "aAbBéÉßẞσςΣ%_\\'\"-. 50ﬁＡ日"


async def test_both_databases_agree_with_the_oracle(api: Api, app: RunningApp) -> None:
    chance = random.Random(11)

    def word(most: int) -> str:
        return "".join(chance.choice(ALPHABET) for _ in range(chance.randint(1, most)))

    names = [word(12) for _ in range(80)]
    ids = await add_people(
        app, [{"full_name": name, "email": f"{index}@x"} for index, name in enumerate(names)]
    )
    admin = await api.superuser()
    hits = 0
    for _ in range(120):
        question = chance.choice([word(2), word(3), f"{word(1)} {word(1)}"])
        expected = {id for id, name in zip(ids, names, strict=True) if is_found(f"{name}", question)}
        expected |= {id for index, id in enumerate(ids) if is_mixed(f"{index}@x", names[index], question)}
        answer = await admin.get(f"users?per_page=1000&q={quote(question, safe='')}")
        found = {row["id"] for row in answer.json()["items"]} - {admin.id}
        assert found == expected, question
        hits += len(found)
    assert hits > 100


def is_mixed(email: str, name: str, question: str) -> bool:
    """Each part may be found in another one of the texts."""
    parts = folded(question).split()
    return bool(parts) and all(is_found(email, part) or is_found(name, part) for part in parts)
