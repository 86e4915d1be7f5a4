"""How an API key is written: found by scanners, checked without a database, impossible to guess."""

import hashlib
import re
import string
import zlib

import pytest

from app.auth.api_keys import PREFIX_LENGTH, MintedKey, looks_like_key, mint, parse
from app.core.config import Environment
from app.modules.auth.models import ApiKey

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
FORM = re.compile(r"tessera_(dev|test|live)_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}")
MANY = 10_000


def is_sound(text: str) -> bool:
    """The checksum, worked out from its description: CRC-32 of all before it, as a number of base 62."""
    number = 0
    for digit in text[-6:]:
        number = number * 62 + DIGITS.index(digit)
    return number == zlib.crc32(text[:-6].encode())


def signed(body: str) -> str:
    """The text with its checksum: a key that is in order as far as anybody can tell without the database."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = DIGITS[digit] + digits
    return body + digits


@pytest.fixture(scope="module")
def minted() -> list[MintedKey]:
    return [mint(Environment.TEST) for _ in range(MANY)]


@pytest.mark.parametrize(
    ("environment", "label"),
    [(Environment.DEVELOPMENT, "dev"), (Environment.TEST, "test"), (Environment.PRODUCTION, "live")],
)
def test_key_says_where_it_opens(environment: Environment, label: str) -> None:
    key = mint(environment)
    assert FORM.fullmatch(key.text)
    assert key.text.startswith(f"tessera_{label}_")
    assert is_sound(key.text)
    assert parse(key.text) is not None


def test_keys_have_one_form_and_a_checksum_that_anybody_can_verify(minted: list[MintedKey]) -> None:
    for key in minted:
        assert FORM.fullmatch(key.text)
        assert is_sound(key.text)
        assert key.text.startswith(f"{key.prefix}_")
        assert key.last_four == key.text[-4:]
    assert not is_sound(minted[0].text[:-6] + minted[1].text[-6:])


def test_no_two_keys_are_alike(minted: list[MintedKey]) -> None:
    for part in ("text", "prefix", "digest"):
        assert len({getattr(key, part) for key in minted}) == MANY
    assert len({key.text.split("_")[3][:43] for key in minted}) == MANY


def test_secret_has_more_than_256_bits_and_uses_every_digit_everywhere(minted: list[MintedKey]) -> None:
    assert 62**43 > 2**256
    secrets = [key.text.split("_")[3][:43] for key in minted]
    for place in zip(*secrets, strict=True):
        assert set(place) == set(DIGITS)


def test_key_is_read_as_it_was_made(minted: list[MintedKey]) -> None:
    for key in minted[:100]:
        presented = parse(key.text)
        assert presented is not None
        assert (presented.prefix, presented.digest) == (key.prefix, key.digest)
        assert key.digest == hashlib.sha256(key.text.encode()).hexdigest()
        assert looks_like_key(key.text)


def test_parts_fit_their_columns(minted: list[MintedKey]) -> None:
    columns = vars(ApiKey)["__table__"].c
    longest = mint(Environment.PRODUCTION)
    for name, value in (("prefix", longest.prefix), ("key_hash", longest.digest)):
        assert len(value) <= columns[name].type.length
    assert max(len(key.prefix) for key in (*minted[:100], longest)) == PREFIX_LENGTH
    assert columns["last_four"].type.length == len(longest.last_four)


def test_change_of_any_one_character_is_refused(minted: list[MintedKey]) -> None:
    text = minted[0].text
    for place, right in enumerate(text):
        for wrong in (*DIGITS, "_", "-", "é"):
            changed = text[:place] + wrong + text[place + 1 :]
            assert (parse(changed) is None) is (wrong != right), (place, wrong)


def test_change_of_length_or_order_is_refused(minted: list[MintedKey]) -> None:
    text = minted[0].text
    for place, first in enumerate(text):
        assert parse(text[:place] + text[place + 1 :]) is None
        assert parse(text[:place] + first + text[place:]) is None
        second = text[place + 1 : place + 2]
        swapped = text[:place] + second + first + text[place + 2 :]
        assert first == second or not second or parse(swapped) is None


@pytest.mark.parametrize(
    "around", ["{} ", " {}", "{}\n", "\n{}", "{}\x00", "{0}{0}", "Bearer {}", "{}\uff11"]
)
def test_key_stands_alone(minted: list[MintedKey], around: str) -> None:
    assert parse(around.format(minted[0].text)) is None
    assert parse(minted[0].text) is not None


def test_other_products_and_places_are_refused_despite_a_good_checksum(minted: list[MintedKey]) -> None:
    body = minted[0].text[:-6]
    assert signed(body) == minted[0].text
    for other in ("Tessera_test", "TESSERA_TEST", "other_test", "tessera_prod", "tessera_"):
        changed = signed(body.replace("tessera_test", other, 1))
        assert is_sound(changed)
        assert parse(changed) is None
    fullwidth = body[:-1] + "\uff11"
    assert parse(signed(fullwidth)) is None


@pytest.mark.parametrize(
    "text", ["", "tessera_", "a.b.c", "tessera_test", "x" * 100_000, "tessera_" * 10_000]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    assert parse(text) is None


def test_access_tokens_never_look_like_keys() -> None:
    for credential in ("eyJhbGciOiJIUzI1NiJ9.e30.x", "", "Tessera_test_", "tessera", " tessera_"):
        assert not looks_like_key(credential)
    assert looks_like_key("tessera_anything")
