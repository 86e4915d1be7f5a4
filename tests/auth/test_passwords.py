"""Hashing: strong, bounded, off the event loop, and the same work for whoever asks."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher as Argon2

from app.auth import passwords
from app.auth.passwords import PasswordHasher, check_policy, is_affordable, normalized
from app.core.errors import Unavailable, WeakPassword

PASSWORD = "correct horse battery staple"
Calls = list[tuple[str, str]]


@pytest.fixture
async def hasher() -> AsyncIterator[PasswordHasher]:
    made = PasswordHasher()
    yield made
    made.close()


@pytest.fixture
def earnest(monkeypatch: pytest.MonkeyPatch) -> Iterator[PasswordHasher]:
    """With the parameters of production, which the other tests make cheaper."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 19_456)
    monkeypatch.setattr(passwords, "PASSES", 2)
    made = PasswordHasher()
    yield made
    made.close()


def planted(memory: int = 64, passes: int = 1, lanes: int = 1, password: str = PASSWORD) -> str:
    return Argon2(time_cost=passes, memory_cost=memory, parallelism=lanes).hash(password)


async def test_parameters_are_those_that_owasp_asks_for(earnest: PasswordHasher) -> None:
    first, second = await earnest.hash(PASSWORD), await earnest.hash(PASSWORD)
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first.split("$")[4] != second.split("$")[4]
    verdict = await earnest.verify(PASSWORD, first)
    assert (verdict.matches, verdict.new_hash) == (True, None)
    assert not (await earnest.verify(PASSWORD + " ", first)).matches


@pytest.mark.parametrize(
    ("memory", "passes", "is_weaker"),
    [
        (19_456, 1, True),
        (8_192, 2, True),
        (8_192, 8, True),
        (19_456, 2, False),
        (19_456, 3, False),
        (65_536, 2, False),
    ],
)
async def test_weaker_hash_and_no_other_is_made_anew(
    earnest: PasswordHasher, memory: int, passes: int, *, is_weaker: bool
) -> None:
    stored = planted(memory, passes)
    assert (await earnest.verify("wrong", stored)).new_hash is None
    verdict = await earnest.verify(PASSWORD, stored)
    assert verdict.matches
    assert (verdict.new_hash is not None) is is_weaker
    if verdict.new_hash is not None:
        again = await earnest.verify(PASSWORD, verdict.new_hash)
        assert (again.matches, again.new_hash) == (True, None)


@pytest.fixture
def calls(hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What is handed to Argon2: the password and the hash."""
    seen: Calls = []
    verify = hasher._context.verify

    def watched(secret: str, stored: str, **options: Any) -> bool:
        seen.append((secret, stored))
        return bool(verify(secret, stored, **options))

    monkeypatch.setattr(hasher._context, "verify", watched)
    return seen


def parameters(stored: str) -> str:
    return stored.rpartition("$")[0].rpartition("$")[0]


async def test_unknown_user_costs_the_same_work(hasher: PasswordHasher, calls: Calls) -> None:
    stored = await hasher.hash(PASSWORD)
    assert (await hasher.verify(PASSWORD, stored)).matches
    assert not (await hasher.verify("wrong " * 3, stored)).matches
    assert not (await hasher.verify("wrong " * 3, None)).matches
    (right, _), (wrong, known), (unknown, stand_in) = calls
    assert right == PASSWORD
    assert wrong == unknown == "wrong " * 3
    assert parameters(known) == parameters(stand_in)
    assert stand_in != known


UNUSABLE = [
    pytest.param("", id="empty"),
    pytest.param("!", id="locked"),
    pytest.param(planted().replace("m=64", "m=4194304"), id="memory"),
    pytest.param(planted().replace("t=1", "t=1000000"), id="passes"),
    pytest.param(planted().replace("p=1", "p=255"), id="lanes"),
    pytest.param(planted().replace("m=64", "m=" + "9" * 30), id="digits"),
    pytest.param(planted().replace("argon2id", "argon2i"), id="argon2i"),
    pytest.param(planted().replace("argon2id", "argon2d"), id="argon2d"),
    pytest.param(planted().replace("$v=19", ""), id="no version"),
    pytest.param(planted().replace("v=19", "v=16"), id="old version"),
    pytest.param("$2b$04$abcdefghijklmnopqrstuuvwxyzabcdefghijklmnopqrstuvwxyza", id="bcrypt"),
    pytest.param("$5$rounds=999999999$salt$digest", id="sha256-crypt"),
    pytest.param(PASSWORD, id="plain text"),
]


@pytest.mark.parametrize("stored", UNUSABLE)
async def test_planted_hash_is_never_computed(hasher: PasswordHasher, calls: Calls, stored: str) -> None:
    assert not is_affordable(stored)
    assert not (await hasher.verify(PASSWORD, stored)).matches
    assert [used for _, used in calls] == [hasher._stand_in]
    assert (await hasher.verify(PASSWORD, planted())).matches


@pytest.mark.parametrize(
    "stored",
    [
        "$argon2id$v=19$m=64,t=1,p=1$",
        "$argon2id$v=19$m=64,t=1,p=1$abc",
        "$argon2id$v=19$m=64,t=1,p=1$$",
        "$argon2id$v=19$m=0,t=0,p=0$c29tZXNhbHRzb21l$c29tZXNhbHRzb21lc29tZXNhbHRzb21l",
        "$argon2id$v=19$m=8,t=1,p=8$c29tZXNhbHQ$c29tZXNhbHQ",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21l$\u00e9",
    ],
)
async def test_damaged_hash_fits_no_password(hasher: PasswordHasher, calls: Calls, stored: str) -> None:
    assert not (await hasher.verify(PASSWORD, stored)).matches
    assert calls[-1] == (PASSWORD, hasher._stand_in)
    assert (await hasher.verify(PASSWORD, planted())).matches


async def test_overlong_password_is_cut_for_the_stand_in_only(hasher: PasswordHasher, calls: Calls) -> None:
    longest = "x" * passwords.MAX_LENGTH
    stored = await hasher.hash(longest)
    assert not (await hasher.verify(longest + "x", stored)).matches
    assert calls == [(longest, hasher._stand_in)]
    assert (await hasher.verify(longest, stored)).matches


async def test_length_is_that_of_the_normal_form(hasher: PasswordHasher) -> None:
    stored = await hasher.hash("\u00e9" * passwords.MAX_LENGTH)
    assert (await hasher.verify("e\u0301" * passwords.MAX_LENGTH, stored)).matches
    assert not (await hasher.verify("e\u0301" * (passwords.MAX_LENGTH + 1), stored)).matches
    assert normalized("e\u0301\ufb01\u2460") == "\u00e9fi1"


class Held:
    """Argon2 that waits until it is let go, and tells how many are in it at once."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.inside = self.most = self.done = 0
        self._lock = threading.Lock()

    def __call__(self, *_: object, **__: object) -> bool:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.released.wait(10)
        with self._lock:
            self.inside -= 1
            self.done += 1
        return True


@pytest.fixture
def held(hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held()
    monkeypatch.setattr(hasher._context, "verify", made)
    yield made
    made.released.set()


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not reached():  # noqa: ASYNC110  what is waited for happens in threads
            await asyncio.sleep(0.001)


async def test_queue_is_bounded_and_the_loop_stays_free(hasher: PasswordHasher, held: Held) -> None:
    stored, room = planted(), passwords._MAX_WAITING
    tasks = [asyncio.create_task(hasher.verify(PASSWORD, stored)) for _ in range(room)]
    await until(lambda: held.inside == passwords._WORKERS)
    with pytest.raises(Unavailable) as caught:
        await asyncio.wait_for(hasher.verify(PASSWORD, stored), 30)
    assert caught.value.headers["Retry-After"] == "1"
    with pytest.raises(Unavailable):
        await asyncio.wait_for(hasher.hash(PASSWORD), 30)
    held.released.set()
    assert all(verdict.matches for verdict in await asyncio.gather(*tasks))
    assert held.most == passwords._WORKERS
    assert (await hasher.verify(PASSWORD, stored)).matches


async def test_who_leaves_frees_the_place(hasher: PasswordHasher, held: Held) -> None:
    stored, room = planted(), passwords._MAX_WAITING
    tasks = [asyncio.create_task(hasher.verify(PASSWORD, stored)) for _ in range(room)]
    await until(lambda: held.inside == passwords._WORKERS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert hasher._waiting == 0
    held.released.set()
    assert (await hasher.verify(PASSWORD, stored)).matches
    await until(lambda: held.inside == 0)
    assert held.done < room / 2


@pytest.mark.parametrize(
    ("password", "is_good"),
    [
        ("vuxkqhzrowmtbne", True),
        ("vuxkqhzrowmtbn", False),
        ("x" * 128, True),
        ("x" * 129, False),
        ("\N{GRINNING FACE}" * 15, True),
        ("\N{GRINNING FACE}" * 14, False),
        ("tessera tessera tessera", False),
        ("Tessera and much more than that", True),
        ("ada.lovelace@example.com", False),
        ("ADA.LOVELACE@EXAMPLE.COM", False),
        ("ａｄａ.ｌｏｖｅｌａｃｅ@example.com", False),
        ("lovelace-example-12", False),
        ("byron byron byron", False),
        ("ada wrote the first program", True),
    ],
)
def test_policy_asks_for_length_and_for_something_of_ones_own(password: str, *, is_good: bool) -> None:
    def check() -> None:
        check_policy(
            password, min_length=15, email="ada.lovelace@example.com", full_name="Ada Byron", field="new"
        )

    if is_good:
        check()
        assert len(password) >= 15
        return
    with pytest.raises(WeakPassword) as caught:
        check()
    assert caught.value.errors[0]["loc"] == ["body", "new"]
    assert password not in str(caught.value.errors)
