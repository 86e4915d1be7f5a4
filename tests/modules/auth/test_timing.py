"""What takes the same time tells nothing: who has an account, who is blocked, who forgot a password.

Medians of interleaved tries, the first ones left out, and a second chance: a busy machine slows both sides alike.
Each comparison is shown to find the fault that it looks for.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from itertools import combinations
from statistics import median
from typing import Any

import pytest

from app import composition
from app.auth import passwords
from app.auth.passwords import PasswordHasher, Verdict
from app.core.mail import Mail
from app.modules.auth.service_resets import ResetService
from tests.api import PASSWORD, Api
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import BACKENDS, FULL, settings_for
from tests.modules.auth.support import stored

PAIRS, WARM_UP = 60, 5
SHARE = 0.10
ONE_SIDED = 0.7
GAP_SECONDS = 0.003
MAIL_SECONDS = 1.0
REAL = {
    "MEMORY_KIB": passwords.MEMORY_KIB,
    "PASSES": passwords.PASSES,
}  # read before the suite makes them cheap
Try = Callable[[], Awaitable[object]]
Taken = Mapping[str, Sequence[float]]


async def timed(tries: Mapping[str, Try], rounds: int = PAIRS) -> Taken:
    """The seconds of each try, round by round; who goes first changes."""
    taken: dict[str, list[float]] = {name: [] for name in tries}
    order = list(tries)
    for _ in range(WARM_UP + rounds):
        order.append(order.pop(0))
        for name in order:
            start = time.perf_counter()
            await tries[name]()
            taken[name].append(time.perf_counter() - start)
    return {name: seconds[WARM_UP:] for name, seconds in taken.items()}


def are_equal(taken: Taken, gap_seconds: float = 0.0) -> bool:
    """Whether no two medians are a tenth apart; what most pairs don't show is the noise of a busy machine."""
    return not any(_is_gap(one, other, gap_seconds) for one, other in combinations(taken.values(), 2))


def _is_gap(one: Sequence[float], other: Sequence[float], gap_seconds: float) -> bool:
    low, high = sorted((median(one), median(other)))
    share = sum(first > second for first, second in zip(one, other, strict=True)) / len(one)
    return high - low > max(SHARE * high, gap_seconds) and abs(share - 0.5) > ONE_SIDED - 0.5


async def differ(measure: Callable[[], Awaitable[Taken]], gap_seconds: float = 0.0) -> str:
    """The medians, where they are unequal twice in a row; else nothing."""
    for _ in range(2):
        taken = await measure()
        if are_equal(taken, gap_seconds):
            return ""
    return str({name: median(seconds) for name, seconds in taken.items()})


def test_comparison_knows_equal_from_unequal() -> None:
    assert are_equal({"a": [1.0] * 60, "b": [0.91] * 60})
    assert not are_equal({"a": [1.0] * 60, "b": [0.89] * 60})
    assert not are_equal({"a": [1.0] * 60, "b": [1.0] * 60, "c": [0.5] * 60})
    assert are_equal({"a": [0.003] * 60, "b": [0.001] * 60}, gap_seconds=GAP_SECONDS)
    assert not are_equal({"a": [0.0042] * 60, "b": [0.001] * 60}, gap_seconds=GAP_SECONDS)
    noise = [1.0, 2.0] * 30
    assert are_equal({"a": noise, "b": [*noise[1:], 1.0]})


@pytest.fixture
def earnest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost what they cost."""
    assert REAL == {"MEMORY_KIB": 19_456, "PASSES": 2}
    for name, value in REAL.items():
        monkeypatch.setattr(passwords, name, value)


@pytest.fixture
async def real(backend: Backend, earnest: None) -> AsyncIterator[RunningApp]:
    """An app that hashes in earnest, and doesn't slow down who tries often."""
    limits = {"login_max_failures": 100, "login_max_failures_per_address": 100_000}
    async with run_app(settings_for(backend.new_database(), "", **limits)) as app:
        yield app


async def logins(app: RunningApp, rounds: int = PAIRS) -> Taken:
    """Wrong passwords for three addresses that nothing was tried with before."""
    api = Api(app)
    known, blocked, admin = await api.user(), await api.user(), await api.superuser()
    assert (await admin.post(f"users/{blocked.id}/block")).status_code == 200
    unknown = f"nobody-{known.email}"

    def failing(email: str) -> Try:
        async def one() -> None:
            answer = await api.post("auth/login", {"email": email, "password": "wrong"})
            assert answer.status_code == 401, answer.text

        return one

    emails = {"known": known.email, "blocked": blocked.email, "unknown": unknown}
    return await timed({name: failing(email) for name, email in emails.items()}, rounds)


# A hash takes ten times as long as what any database has to do with it, and hundreds of them take seconds.
in_earnest = pytest.mark.parametrize("backend", BACKENDS if FULL else BACKENDS[-1:], indirect=True)


@in_earnest
async def test_wrong_password_takes_as_long_whoever_it_is(real: RunningApp) -> None:
    rows = await stored(real, "SELECT password_hash FROM users")
    assert "m=19456,t=2,p=1" in rows[0][0]
    assert not await differ(lambda: logins(real))


@in_earnest
async def test_hash_that_is_skipped_for_who_is_unknown_is_found(
    real: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = PasswordHasher.verify

    async def hasty(self: PasswordHasher, password: str, stored: str | None) -> Verdict:
        return Verdict(matches=False) if stored is None else await verify(self, password, stored)

    monkeypatch.setattr(PasswordHasher, "verify", hasty)
    assert await differ(lambda: logins(real, rounds=15))


async def first_verifications(make: Callable[[], PasswordHasher], stored_hash: str) -> Taken:
    """The first thing that a process verifies after its start."""
    hashers: list[PasswordHasher] = []

    def first(stored: str | None) -> Try:
        async def one() -> None:
            assert not (await hashers[-1].verify("wrong", stored)).matches

        return one

    taken: dict[str, list[float]] = {"unknown": [], "known": []}
    for _ in range(PAIRS // 2):
        for name, given in (("unknown", None), ("known", stored_hash)):
            hashers.append(make())
            start = time.perf_counter()
            await first(given)()
            taken[name].append(time.perf_counter() - start)
            hashers.pop().close()
    return {name: seconds[WARM_UP:] for name, seconds in taken.items()}


class LazyHasher(PasswordHasher):
    """Makes the hash that stands in for unknown users when the first of them comes."""

    def __init__(self) -> None:
        super().__init__()
        self._is_first = True

    def _verify(self, text: str, stored: str | None) -> Verdict:
        if stored is None and self._is_first:
            self._is_first = False
            self._context.hash(text)
        return super()._verify(text, stored)


async def test_first_login_after_a_start_takes_as_long_whoever_it_is(earnest: None) -> None:
    hasher = PasswordHasher()
    known = await hasher.hash(PASSWORD)
    hasher.close()
    assert not await differ(lambda: first_verifications(PasswordHasher, known))
    assert await differ(lambda: first_verifications(LazyHasher, known)), "the planted one was not found"


class SlowMailer:
    """A mail server that takes its time."""

    def __init__(self) -> None:
        self.begun = 0

    async def send(self, mail: Mail) -> None:
        assert mail.to
        self.begun += 1
        await asyncio.sleep(MAIL_SECONDS)


@pytest.fixture
async def slow_mail(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningApp]:
    monkeypatch.setattr(composition, "open_mailer", lambda _settings: SlowMailer())
    async with run_app(settings_for(backend.new_database(), "")) as app:
        yield app


async def requests(app: RunningApp, rounds: int = PAIRS) -> Taken:
    """Forgotten passwords of who has an account, and of who hasn't."""
    api = Api(app)
    known = await api.user()

    def asking(email: str) -> Try:
        async def one() -> None:
            assert (await api.post("auth/password/forgot", {"email": email})).status_code == 202

        return one

    emails = {"known": known.email, "unknown": f"nobody-{known.email}"}
    return await timed({name: asking(email) for name, email in emails.items()}, rounds)


async def test_forgotten_password_takes_as_long_whoever_it_is(slow_mail: RunningApp) -> None:
    assert not await differ(lambda: requests(slow_mail), GAP_SECONDS)
    mailer: Any = slow_mail.kernel.mailer
    assert mailer.begun > 0, "nobody was written to: nothing was compared"


async def test_mail_that_is_sent_before_the_answer_is_found(
    slow_mail: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.MAIL_SECONDS", 0.1)
    monkeypatch.setattr(f"{__name__}.WARM_UP", 1)
    request = ResetService.request

    async def eager(self: ResetService, email: str) -> None:
        await request(self, email)
        if await self.accounts.find_account(email) is not None:
            assert self.kernel.mailer is not None
            await self.kernel.mailer.send(Mail(to=email, subject="now", text="now"))

    monkeypatch.setattr(ResetService, "request", eager)
    assert await differ(lambda: requests(slow_mail, rounds=10), GAP_SECONDS)
