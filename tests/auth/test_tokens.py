"""The wrapper around access tokens trusts nothing: neither the library, nor whoever holds the right key."""

import base64
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import uuid4

import pytest
import time_machine
from jose import jwt

from app.auth import tokens as tokens_module
from app.auth.tokens import AccessTokens
from app.core.errors import AppError, TokenExpired, TokenInvalid
from app.core.keys import Keyring
from tests.api import Api, assert_problem
from tests.auth.attacks import Attack, attacks
from tests.auth.forging import Forger
from tests.conftest import SECRET

ATTACKS = dict(attacks())
OTHER_SECRET = "another-" + "zyxwvutsrqponmlkjihgfedcba9876543210"


@pytest.fixture
def forger() -> Forger:
    return Forger(SECRET, uuid4(), uuid4())


@pytest.fixture
def tokens() -> AccessTokens:
    return AccessTokens(Keyring([SECRET]), 15)


def refused(tokens: AccessTokens, token: str, *, allow_expired: bool = False) -> AppError:
    """The error with which a token is refused."""
    with pytest.raises(TokenInvalid) as caught:
        tokens.read(token, allow_expired=allow_expired)
    return caught.value


def test_issued_token_says_what_it_should(tokens: AccessTokens, forger: Forger) -> None:
    token = tokens.issue(forger.user_id, forger.session_id, 7)
    claims = tokens.read(token)
    assert (claims.user_id, claims.session_id, claims.ver) == (forger.user_id, forger.session_id, 7)
    assert claims.exp - claims.iat == tokens.lifetime_seconds == 900
    assert jwt.get_unverified_header(token) == forger.header
    assert jwt.get_unverified_claims(token).keys() == forger.claims.keys()
    assert len({tokens.issue(forger.user_id, forger.session_id, 7) for _ in range(100)}) == 100


def test_list_of_attacks_is_what_it_says() -> None:
    assert len(ATTACKS) > 120


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused(
    tokens: AccessTokens, forger: Forger, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object) -> NoReturn:
        raise AssertionError("a token made the program connect to somewhere")

    monkeypatch.setattr(socket.socket, "connect", connect)
    attack: Attack = ATTACKS[name]
    assert refused(tokens, attack(forger)).code == "token_invalid"
    assert refused(tokens, attack(forger), allow_expired=True).code == "token_invalid"
    assert tokens.read(forger.token()).user_id == forger.user_id


async def test_attacks_are_refused_over_http_too(api: Api) -> None:
    user = await api.user()
    genuine = api.app.kernel.tokens.read(user.access_token)
    forger = Forger(SECRET, genuine.user_id, genuine.session_id, genuine.ver)
    for name, attack in ATTACKS.items():
        headers = {"Authorization": b"Bearer " + attack(forger).encode("utf-8")}
        answer = await api.call("GET", "auth/me", headers=headers)
        assert answer.status_code == 401, name
        assert_problem(answer, 401, "token_invalid")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"], name
    headers = {"Authorization": b"Bearer " + forger.token().encode()}
    assert (await api.call("GET", "auth/me", headers=headers)).status_code == 200


async def test_genuine_token_for_somebody_else_is_refused(api: Api) -> None:
    """The right key, but claims that no stored session agrees with."""
    user, other = await api.user(), await api.user()
    mine, theirs = (api.app.kernel.tokens.read(caller.access_token) for caller in (user, other))
    for forger in (
        Forger(SECRET, theirs.user_id, mine.session_id, mine.ver),
        Forger(SECRET, mine.user_id, uuid4(), mine.ver),
        Forger(SECRET, mine.user_id, mine.session_id, mine.ver + 1),
        Forger(SECRET, mine.user_id, mine.session_id, mine.ver - 1),
        Forger(SECRET, mine.user_id, mine.session_id, 10**30),
    ):
        headers = {"Authorization": f"Bearer {forger.token()}"}
        assert_problem(await api.call("GET", "auth/me", headers=headers), 401, "token_revoked")
    assert (await user.get("auth/me")).status_code == 200


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(0, True), (899, True), (904, True), (911, False), (90_000, False)]
)
def test_expiry_has_a_leeway_of_seconds(
    tokens: AccessTokens, forger: Forger, seconds: int, *, accepted: bool
) -> None:
    start = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as traveller:
        token = forger.token()
        for reader in (tokens, AccessTokens(Keyring([SECRET]), 15)):  # one has seen it before, one hasn't
            traveller.move_to(start)
            if reader is tokens:
                assert reader.read(token).user_id == forger.user_id
            traveller.shift(timedelta(seconds=seconds))
            if accepted:
                assert reader.read(token).user_id == forger.user_id
            else:
                assert isinstance(refused(reader, token), TokenExpired)
                assert reader.read(token, allow_expired=True).session_id == forger.session_id


@pytest.mark.parametrize(
    ("claim", "seconds", "accepted"),
    [("iat", 30, True), ("iat", 90, False), ("nbf", 3, True), ("nbf", 30, False), ("nbf", -30, True)],
)
def test_clocks_may_differ_a_little(
    tokens: AccessTokens, forger: Forger, claim: str, seconds: int, *, accepted: bool
) -> None:
    token = forger.token(claims={claim: int(time.time()) + seconds})
    if accepted:
        assert tokens.read(token).user_id == forger.user_id
    else:
        assert refused(tokens, token).code == "token_invalid"


def test_token_from_the_future_is_refused_again_after_the_clock_went_back(forger: Forger) -> None:
    start = datetime(2026, 11, 20, 12, tzinfo=UTC)
    tokens = AccessTokens(Keyring([SECRET]), 15)
    with time_machine.travel(start, tick=False) as traveller:
        token = forger.token()
        assert tokens.read(token).user_id == forger.user_id
        traveller.shift(timedelta(hours=-1))
        assert refused(tokens, token).code == "token_invalid"


def test_new_key_signs_and_the_old_one_verifies(forger: Forger) -> None:
    before = AccessTokens(Keyring([SECRET]), 15)
    during = AccessTokens(Keyring([OTHER_SECRET, SECRET]), 15)
    after = AccessTokens(Keyring([OTHER_SECRET]), 15)
    old = before.issue(forger.user_id, forger.session_id, 1)
    new = during.issue(forger.user_id, forger.session_id, 1)
    for reader, token in ((during, old), (during, new), (after, new)):
        assert reader.read(token).user_id == forger.user_id
    for reader, token in ((after, old), (before, new)):
        assert refused(reader, token).code == "token_invalid"


def test_key_that_was_moved_to_another_id_does_not_verify(forger: Forger) -> None:
    ring = AccessTokens(Keyring([OTHER_SECRET, SECRET]), 15)
    other = Forger(OTHER_SECRET, forger.user_id, forger.session_id)
    assert refused(ring, forger.token(header={"kid": other.header["kid"]})).code == "token_invalid"
    assert ring.read(forger.token()).user_id == ring.read(other.token()).user_id


def test_every_other_spelling_of_a_signature_is_refused(tokens: AccessTokens, forger: Forger) -> None:
    token = forger.token()
    body, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [
        signature[:-1] + char
        for char in alphabet
        if base64.urlsafe_b64decode(signature[:-1] + char + "=") == raw
    ]
    assert len(same) == 4
    read = {
        spelling
        for spelling in same
        if spelling == signature or not _is_refused(tokens, f"{body}.{spelling}")
    }
    assert read == {signature}
    assert tokens.read(token).user_id == forger.user_id


def _is_refused(tokens: AccessTokens, token: str) -> bool:
    return refused(tokens, token).status == 401


def test_token_of_four_kilobytes_is_not_even_looked_at(
    tokens: AccessTokens, forger: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    decode = jwt.decode

    def watched(token: str, *args: Any, **options: Any) -> dict[str, Any]:
        seen.append(token)
        return decode(token, *args, **options)

    monkeypatch.setattr(jwt, "decode", watched)
    assert refused(tokens, forger.token(claims={"jti": "x" * 5000})).code == "token_invalid"
    assert seen == []
    assert tokens.read(forger.token()).user_id == forger.user_id
    assert len(seen) == 1


def test_genuine_tokens_are_remembered_within_bounds(
    tokens: AccessTokens, forger: Forger, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    monkeypatch.setattr(tokens_module.AccessTokens, "_verified", _counting(verified))
    token = forger.token()
    for _ in range(3):
        assert tokens.read(token).user_id == forger.user_id
    assert verified == [token]
    tokens._genuine._max = 10
    for _ in range(30):
        tokens.read(forger.token())
    assert len(tokens._genuine._entries) == 10
    tokens.read(token)
    assert verified.count(token) == 2


def _counting(calls: list[str]) -> object:
    verify = AccessTokens._verified

    def counted(self: AccessTokens, token: str) -> tokens_module.Claims:
        calls.append(token)
        return verify(self, token)

    return counted


def test_memory_does_not_outlive_the_token(tokens: AccessTokens, forger: Forger) -> None:
    moment = time.time()
    tokens.read(forger.token(claims={"exp": int(moment) + 60}))
    tokens.read(forger.token(claims={"exp": int(moment) + 1}))
    ends = sorted(end - time.monotonic() for end, _ in tokens._genuine._entries.values())
    assert 0 < ends[0] <= 1.1
    assert 50 < ends[1] <= 60.1


def test_memory_holds_no_token(tokens: AccessTokens, forger: Forger) -> None:
    token = forger.token()
    tokens.read(token)
    assert len(tokens._genuine._entries) == 1
    assert not any(token in name or token.rpartition(".")[2] in name for name in tokens._genuine._entries)


async def test_weak_backends_of_the_library_are_not_loaded(api: Api) -> None:
    user = await api.user()
    assert (await user.get("auth/me")).status_code == 200
    assert "jose" in sys.modules
    assert not {"ecdsa", "rsa"} & sys.modules.keys()


async def test_kinds_of_tokens_are_not_interchangeable(api: Api) -> None:
    user = await api.user()
    access, fresh = user.access_token, user.refresh_token
    bearer = {"Authorization": f"Bearer {fresh}"}
    assert_problem(await api.call("GET", "auth/me", headers=bearer), 401, "token_invalid")
    assert_problem(await api.call("POST", "auth/logout", headers=bearer), 401, "token_invalid")
    assert_problem(await api.call("POST", "auth/logout-all", headers=bearer), 401, "token_invalid")
    assert_problem(await api.post("auth/refresh", {"refresh_token": access}), 401, "token_invalid")
    assert_problem(await api.post("auth/logout", {"refresh_token": access}), 401, "unauthenticated")
    form = {"grant_type": "refresh_token", "refresh_token": access}
    assert (await api.call("POST", "auth/token", data=form)).json()["error"] == "invalid_grant"
    assert (await user.get("auth/me")).status_code == 200
    assert (await api.post("auth/refresh", {"refresh_token": fresh})).status_code == 200
