"""Secrets: what is too weak, that each purpose has its own key, and that signed texts have one spelling."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.keys import PUBLISHED, Keyring, Purpose, Signer, development_secret, weakness

GOOD = "tests-only-" + "0123456789abcdefghijklmnopqrstuv"
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


@pytest.mark.parametrize(
    ("secret", "part"),
    [
        ("", "shorter"),
        (GOOD[:31], "shorter"),
        ("a" * 64, "different"),
        ("abcdefg" * 10, "different"),
        *((f"{GOOD}{known}", "published") for known in PUBLISHED),
        (f"{GOOD}-SuperSecret", "published"),
    ],
)
def test_weak_secret_is_told_without_its_value(secret: str, part: str) -> None:
    told = weakness(secret)
    assert told is not None
    assert part in told
    assert not secret or secret not in told


@pytest.mark.parametrize("secret", [GOOD, GOOD[:32], "é" * 16 + "abcdefgh", "abcdefgh" * 4])
def test_good_secret_passes(secret: str) -> None:
    assert weakness(secret) is None


def test_development_secret_is_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    old = os.umask(0)
    try:
        first = development_secret(folder)
    finally:
        os.umask(old)
    assert weakness(first) is None
    assert development_secret(folder) == first
    assert development_secret(tmp_path / "other") != first
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret_key"]


def test_process_that_comes_second_takes_the_first_ones_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = Path.exists

    def raced(path: Path) -> bool:
        """Another process makes the file right after this one has looked."""
        found = exists(path)
        if path.name == "secret_key" and not found:
            path.write_text("the first one's")
        return found

    monkeypatch.setattr(Path, "exists", raced)
    assert development_secret(tmp_path) == "the first one's"
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_secret_is_read_by_many_at_once(tmp_path: Path) -> None:
    made = development_secret(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: development_secret(tmp_path), range(50))) == {made}


def test_each_purpose_and_each_secret_has_its_own_key() -> None:
    rings = [Keyring([GOOD]), Keyring([GOOD + "x"])]
    keys = {ring.keys(purpose)[0] for ring in rings for purpose in PURPOSES}
    assert len(keys) == 2 * len(PURPOSES)
    assert all(len(key) == 32 for key in keys)
    assert GOOD.encode() not in keys


def test_newest_key_comes_first_and_is_the_same_every_time() -> None:
    ring = Keyring([GOOD + "new", GOOD])
    assert ring.keys("cursor") == [*Keyring([GOOD + "new"]).keys("cursor"), *Keyring([GOOD]).keys("cursor")]
    assert ring.keys("cursor") == ring.keys("cursor")


@given(st.binary(max_size=200))
def test_signed_text_comes_back(payload: bytes) -> None:
    signer = Signer(bytes(32))
    text = signer.sign(payload)
    assert signer.unsign(text) == payload
    assert Signer(b"x" * 32).unsign(text) is None


def test_altered_text_is_not_ours() -> None:
    signer = Signer(bytes(32))
    text = signer.sign(b"payload")
    for position, char in enumerate(text):
        other = "A" if char != "A" else "B"
        assert signer.unsign(text[:position] + other + text[position + 1 :]) is None, position
    assert signer.unsign(text) == b"payload"


@pytest.mark.parametrize("text", ["", "=", "A", "é", "a" * 21, "a" * 22, "\ud800", "%%%%", "a b c d", "\x00"])
def test_nonsense_is_not_ours(text: str) -> None:
    assert Signer(bytes(32)).unsign(text) is None


def test_text_has_one_spelling() -> None:
    signer = Signer(bytes(32))
    payloads = [bytes([number]) * 3 for number in range(256)]
    for payload in payloads:
        text = signer.sign(payload)
        for other in (
            text + "=",
            text + "==",
            text + "\n",
            " " + text,
            text + "!",
            text[:5] + "*" + text[5:],
        ):
            assert signer.unsign(other) is None, other
        standard = text.replace("-", "+").replace("_", "/")
        assert standard == text or signer.unsign(standard) is None
        assert signer.unsign(text) == payload
