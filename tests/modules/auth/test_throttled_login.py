"""Guessing at a login: what is free, how the pauses grow, and whom they never hit."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import time_machine

from tests.api import PASSWORD, Api, assert_problem
from tests.backend import Backend
from tests.modules.auth.strangers import (
    ADDRESS_LIMIT,
    LIMIT,
    PAUSES,
    WINDOW_SECONDS,
    WRONG,
    Client,
    Workers,
    telling,
    told_to_wait,
    two_workers,
)
from tests.modules.auth.support import again, assert_alive, refreshed

Clock = time_machine.Traveller


@pytest.fixture(scope="module")
async def workers(backend: Backend) -> AsyncIterator[Workers]:
    async with two_workers(backend) as made:
        yield made


@pytest.fixture
def api(workers: Workers) -> Api:
    return workers[0]


@pytest.fixture
def still(clock: Clock) -> Clock:
    """A clock that only tests move, so that seconds can be told exactly."""
    clock.move_to(datetime.now(UTC), tick=False)
    return clock


async def assert_paused(client: Client, email: str, seconds: int) -> None:
    """Wrong and right password are told the same, whichever way they come."""
    wrong = await client.login(email, WRONG)
    assert told_to_wait(wrong) == seconds
    assert telling(await client.login(email)) == telling(wrong)
    for password in (WRONG, PASSWORD):
        assert told_to_wait(await client.token(email, password)) == seconds


async def test_pauses_grow_to_a_quarter_of_an_hour_and_no_further(api: Api, still: Clock) -> None:
    user, client = await api.user(), Client(api)
    await client.guess(user.email)
    for pause in (*PAUSES, 900, 900):
        await assert_paused(client, user.email, pause)
        still.shift(pause - 0.5)
        await assert_paused(client, user.email, 1)
        still.shift(0.5)
        await client.guess(user.email, 1)
    still.shift(900)
    assert (await client.login(user.email)).status_code == 200


async def test_right_password_after_the_pause_begins_a_new_count(api: Api, still: Clock) -> None:
    user, client = await api.user(), Client(api)
    await client.guess(user.email)
    still.shift(5)
    assert (await client.login(user.email)).status_code == 200
    await client.guess(user.email, LIMIT - 1)
    assert (await client.login(user.email)).status_code == 200
    await client.guess(user.email)
    await assert_paused(client, user.email, 5)


async def test_token_endpoint_counts_into_the_same_bucket(api: Api, still: Clock) -> None:
    user, client = await api.user(), Client(api)
    for _ in range(LIMIT // 2):
        refused = await client.token(user.email, WRONG)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    await client.guess(user.email, LIMIT - LIMIT // 2)
    await assert_paused(client, user.email, 5)
    still.shift(5)
    assert (await client.token(user.email)).status_code == 200


async def test_refused_tries_make_no_pause_longer(api: Api, still: Clock) -> None:
    user, client = await api.user(), Client(api)
    await client.guess(user.email)
    for _ in range(50):
        assert told_to_wait(await client.login(user.email, WRONG)) == 5
    still.shift(5)
    assert (await client.login(user.email)).status_code == 200


async def test_nobody_learns_from_a_pause_who_has_an_account(api: Api, still: Clock, unique: str) -> None:
    admin, user, blocked, deleted = (
        await api.superuser(),
        await api.user(),
        await api.user(),
        await api.user(),
    )
    assert (await admin.post(f"users/{blocked.id}/block")).status_code == 200
    assert (await admin.delete(f"users/{deleted.id}")).status_code == 204

    async def seen(email: str) -> list[object]:
        client = Client(api)
        answers = [await client.login(email, WRONG) for _ in range(LIMIT + 2)]
        answers.append(await client.token(email, WRONG))
        still.shift(5)
        answers += [await client.login(email, WRONG) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 3 + [401, 429, 429]
        return [telling(answer) for answer in answers]

    known = await seen(user.email)
    for other in (f"nobody-{unique}@example.com", blocked.email, deleted.email):
        found = await seen(other)
        assert str(found).replace(other, "") == str(known).replace(user.email, "")


@pytest.mark.parametrize("is_known", [True, False])
async def test_spellings_of_an_address_share_one_count(
    workers: Workers, still: Clock, unique: str, *, is_known: bool
) -> None:
    email = f"ada.{unique}@example.com"
    if is_known:
        await workers[0].user(email=email)
    wide = "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in email)
    spellings = [email, email.upper(), f"  {email}", f"{email}\t", wide, f"\u3000{email.title()}"]
    for number in range(LIMIT):
        answer = await Client(workers[number % 2]).login(spellings[number % len(spellings)], WRONG)
        assert_problem(answer, 401, "invalid_credentials")
    for spelling in spellings:
        assert told_to_wait(await Client(workers[0]).login(spelling)) == 5
        assert told_to_wait(await Client(workers[1]).token(spelling)) == 5
    await Client(workers[0]).guess(f"x{email}", 1)


async def test_living_sessions_go_on_meanwhile(api: Api, still: Clock) -> None:
    user = await api.user()
    other = await again(user)
    key = await other.with_key()
    stranger = Client(api)
    await stranger.guess(user.email)
    for pause in PAUSES[:5]:
        await assert_paused(stranger, user.email, pause)
        for caller in (user, other, key):
            await assert_alive(caller)
        user = await refreshed(user)
        still.shift(pause)
        await stranger.guess(user.email, 1)
    await assert_alive(user)


async def test_failures_below_the_limit_are_forgotten_with_their_window(api: Api, still: Clock) -> None:
    user, client = await api.user(), Client(api)
    for _ in range(3):
        await client.guess(user.email, LIMIT - 1)
        still.shift(WINDOW_SECONDS)
    await client.guess(user.email, LIMIT - 1)
    still.shift(WINDOW_SECONDS - 1)
    await client.guess(user.email, 1)
    await assert_paused(client, user.email, 5)


@pytest.mark.parametrize("back", [2, 3600, 86_400])
async def test_clock_that_is_set_back_makes_no_pause_longer(api: Api, still: Clock, back: int) -> None:
    user, client = await api.user(), Client(api)
    await client.guess(user.email)
    still.shift(-back)
    waited = 0
    while (answer := await client.login(user.email)).status_code != 200:
        waited += told_to_wait(answer)
        still.shift(told_to_wait(answer))
        assert waited <= 5


async def test_stranger_who_guesses_all_day_keeps_no_owner_out(api: Api, still: Clock) -> None:
    """The owner, where they have been before, waits five seconds at most, however long the stranger's pause is."""
    owner, home, stranger = await api.user(), Client(api), Client(api)
    assert (await home.login(owner.email)).status_code == 200
    elsewhere = Client(api)
    await stranger.guess(owner.email)
    for pause in PAUSES:
        assert told_to_wait(await stranger.login(owner.email, WRONG)) == pause
        still.shift(pause)
        await stranger.guess(owner.email, 1)
    for _ in range(24 * 4):
        assert told_to_wait(await stranger.login(owner.email)) == 900
        assert told_to_wait(await home.login(owner.email)) == 5
        still.shift(900)
        await stranger.guess(owner.email, 1)
    still.shift(5)
    assert told_to_wait(await elsewhere.login(owner.email)) == 895
    assert (await home.login(owner.email)).status_code == 200
    # Which forgets the count: the stranger begins anew, and the owner is let in all the same.
    await stranger.guess(owner.email)
    assert told_to_wait(await home.login(owner.email)) == 5
    still.shift(5)
    assert (await home.login(owner.email)).status_code == 200


async def test_known_network_has_pauses_of_its_own(api: Api, still: Clock) -> None:
    owner, home, stranger = await api.user(), Client(api), Client(api)
    assert (await home.login(owner.email)).status_code == 200
    await stranger.guess(owner.email)
    for _ in range(LIMIT):
        assert told_to_wait(await home.login(owner.email, WRONG)) == 5
        still.shift(5)
        await home.guess(owner.email, 1)
    for pause in PAUSES[:4]:
        assert told_to_wait(await home.login(owner.email)) == pause
        still.shift(pause)
        await home.guess(owner.email, 1)
    assert told_to_wait(await stranger.login(owner.email)) == 900, "guesses from home count for all"
    still.shift(PAUSES[4])
    assert (await home.login(owner.email)).status_code == 200


async def test_network_that_only_failed_is_not_known(api: Api, still: Clock) -> None:
    owner, stranger = await api.user(), Client(api)
    await stranger.guess(owner.email)
    still.shift(5)
    await stranger.guess(owner.email, 1)
    still.shift(5)
    assert told_to_wait(await stranger.login(owner.email)) == 5, "ten seconds in all"


async def test_address_that_guesses_at_many_accounts_is_refused_and_no_other_is(
    workers: Workers, still: Clock, unique: str
) -> None:
    user, guesser, neighbour = await workers[0].user(), Client(workers[0]), Client(workers[0])
    for number in range(ADDRESS_LIMIT):
        await guesser.through(workers[number % 2]).guess(f"{unique}-{number}@example.com", 1)
    for worker in workers:
        await assert_paused(guesser.through(worker), user.email, 5)
        await assert_paused(guesser.through(worker), f"{unique}-new@example.com", 5)
        assert (await neighbour.through(worker).login(user.email)).status_code == 200
    still.shift(5)
    await guesser.guess(f"{unique}-more@example.com", 1)
    await assert_paused(guesser, user.email, 10)
    still.shift(10)
    assert (await guesser.login(user.email)).status_code == 200


async def test_network_of_an_ipv6_client_is_its_64(api: Api, still: Clock, unique: str) -> None:
    user = await api.user()
    for number in range(ADDRESS_LIMIT):
        await Client(api, f"2001:db8:1:2::{number:x}").guess(f"{unique}-{number}@example.com", 1)
    for address in ("2001:db8:1:2::ffff:1", "2001:DB8:1:2:ffff:ffff:ffff:ffff"):
        assert told_to_wait(await Client(api, address).login(user.email)) == 5
    for address in ("2001:db8:1:3::1", "2001:db8:2:2::1"):
        assert (await Client(api, address).login(user.email)).status_code == 200


async def test_own_account_does_not_clear_the_address(api: Api, still: Clock, unique: str) -> None:
    guesser, own = Client(api), await api.user()
    for number in range(ADDRESS_LIMIT):
        await guesser.guess(f"{unique}-{number}@example.com", 1)
        if number % 10 == 0:
            assert (await guesser.login(own.email)).status_code == 200
    assert told_to_wait(await guesser.login(own.email)) == 5


async def test_blocked_account_with_the_right_password_is_no_failure(api: Api, still: Clock) -> None:
    admin, user, client = await api.superuser(), await api.user(), Client(api)
    assert (await admin.post(f"users/{user.id}/block")).status_code == 200
    for _ in range(LIMIT + 2):
        assert_problem(await client.login(user.email), 403, "account_blocked")
    await client.guess(user.email)
    await assert_paused(client, user.email, 5)
