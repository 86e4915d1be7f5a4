"""Sessions against a model: long random stories, told to the program and to sixty lines that know what is promised.

After each step some of the credentials that were ever issued are asked, and answer what the model says. The clock
stands still but for the steps that move it, so that every boundary is exact and every story can be told again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx2
import pytest
import time_machine
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from app.core import identifiers
from app.modules.auth.models import RefreshToken
from app.modules.auth.repository import SessionRepository, Stamp
from app.modules.auth.service_sessions import SessionService
from app.modules.users.service import UserService
from tests.api import ADMIN, PASSWORD, Api
from tests.backend import Backend, run_app
from tests.conftest import BACKENDS, FULL, settings_for
from tests.modules.auth import session_model
from tests.modules.auth.session_model import (
    ABSOLUTE,
    NEVER,
    NOT_FOUND,
    OK,
    TEMPORARY,
    Account,
    Answer,
    Session,
)

T = TypeVar("T")
START = datetime.now(UTC).replace(microsecond=0)
RUNS, STEPS = (200, 50) if FULL else (15, 50)
MINUTE, DAY = 60, 86_400
SECONDS = (1, 4, 9, 10, 11)
LONGER = (15 * MINUTE + 5, 15 * MINUTE + 6, DAY, 3 * DAY, 29 * DAY, 30 * DAY - 1, 30 * DAY)
ENDING = ("block", "delete", "reset-password")
# Undoing is drawn more often than doing: the stories of living accounts are the longer ones.
ACTS = (*ENDING, "unblock", "unblock", "restore", "restore")

chosen = st.sampled_from((0, 0, 0, 1, 1, 2, 3, 5))  # how far back: what is new is more interesting
spent = st.integers(1, 4)  # the living token's parent, its grandparent and so on


class Stage:
    """An app on an event loop of its own, and a clock that only `move` moves."""

    def __init__(self, runner: asyncio.Runner, api: Api, clock: time_machine.Traveller) -> None:
        self.runner = runner
        self.api = api
        self.clock = clock
        self.names = count()

    def ask(self, *calls: Awaitable[httpx2.Response]) -> list[httpx2.Response]:
        """The answers, asked for at the same time."""

        async def together() -> list[httpx2.Response]:
            return await asyncio.gather(*calls)

        return self.runner.run(together())

    def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        (answer,) = self.ask(self.api.post(path, body, headers=headers))
        return answer


@pytest.fixture
def stage(backend: Backend) -> Iterator[Stage]:
    """Machines are no coroutines: their app can't live on the loop of the other tests."""
    last = identifiers._last_ms
    config = settings_for(
        backend.new_database(), "", login_max_failures=100, login_max_failures_per_address=100_000
    )
    with (
        time_machine.travel(START, tick=False) as clock,
        asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner,
    ):
        stack = AsyncExitStack()
        app = runner.run(stack.enter_async_context(run_app(config)))
        try:
            yield Stage(runner, Api(app), clock)
        finally:
            runner.run(stack.aclose())
    identifiers._last_ms = last  # ids never go back by themselves


@dataclass
class Access:
    text: str
    session: Session
    issued: int


@dataclass
class Key:
    text: str
    id: str
    is_revoked: bool = False


class SessionMachine(RuleBasedStateMachine):
    """One account, whoever uses it, and an administrator."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.email = f"machine-{next(stage.names)}@example.com"
        self.admin, self.admin_until = "", -1
        self.account = Account(PASSWORD)
        self.passwords = [PASSWORD]
        self.refreshes: dict[Session, list[str]] = {}
        self.ids: dict[Session, str] = {}
        self.accesses: list[Access] = []
        self.keys: list[Key] = []
        self.chance = Random(0)
        stage.clock.move_to(START)
        made = stage.post("auth/register", {"email": self.email, "password": PASSWORD})
        self.user_id = made.json()["id"]
        self.login(0)

    # coming in, going on

    @precondition(lambda self: len(self.ids) < 40)  # fifty is the most that an account may have
    @rule(back=chosen)
    def login(self, back: int) -> None:
        password = _back(self.passwords, back)
        answer = self.stage.post("auth/login", {"email": self.email, "password": password})
        expected = self.account.login(password)
        assert _told(answer) == expected
        if expected == OK:
            session = Session(self.account.now, [self.account.now])
            self.account.sessions.append(session)
            assert answer.json().get("must_change_password", False) == (self.account.password_ends < NEVER)
            self.refreshes[session] = [answer.json()["refresh_token"]]
            self._take_access(session, answer)
            (me,) = self.stage.ask(self.stage.api.get("auth/sessions", headers=_bearer(self.accesses[-1])))
            listed = me.json()["items"] if me.is_success else []
            self.ids[session] = next((one["id"] for one in listed if one["current"]), "")

    @rule(which=chosen)
    def refresh(self, which: int) -> None:
        session = _back(self.account.sessions, which)
        self._refresh(session, len(session.issued) - 1)

    @rule(which=chosen, seconds=st.sampled_from((0, 0, *SECONDS)))
    def refresh_and_retry(self, which: int, seconds: int) -> None:
        """What a client does whose answer was lost, at once or when it has waited for it."""
        session = _back(self.account.sessions, which)
        number = len(session.issued) - 1
        self._refresh(session, number)
        self.move_clock(seconds)
        self._refresh(session, number)

    @rule(which=chosen)
    def refresh_twice_and_replay(self, which: int) -> None:
        """What it looks like when a thief comes late."""
        session = _back(self.account.sessions, which)
        number = len(session.issued) - 1
        for spent_again in (number, -1, number):
            self._refresh(session, spent_again % len(session.issued))

    @rule(which=chosen, back=spent)
    def replay(self, which: int, back: int) -> None:
        """A retry, honest or late, or what a thief does."""
        session = _back(self.account.sessions, which)
        self._refresh(session, max(0, len(session.issued) - 1 - back))

    @rule(seconds=st.sampled_from(SECONDS))
    def move_clock(self, seconds: int) -> None:
        self.stage.clock.shift(timedelta(seconds=seconds))
        self.account.now += seconds

    @rule(seconds=st.sampled_from(LONGER))
    def move_clock_far(self, seconds: int) -> None:
        self.move_clock(seconds)

    @precondition(lambda self: not self.account.sessions[-1].is_ended)
    @rule(seconds=st.sampled_from(SECONDS))
    def outlive_a_session(self, seconds: int) -> None:
        """It is in use up to its last seconds, and its newest access token would go on."""
        session = self.account.sessions[-1]
        end = session.began + ABSOLUTE - 5
        while self.account.now < end:
            self.move_clock(min(29 * DAY, end - self.account.now))
            self._refresh(session, len(session.issued) - 1)
        self.move_clock(seconds)

    # leaving

    @rule(which=chosen)
    def log_out_with_access_token(self, which: int) -> None:
        access = _back(self.accesses, which)
        assert self.stage.post("auth/logout", **_bearer(access)).status_code == 204
        access.session.is_ended = True

    @rule(which=chosen, back=st.integers(0, 3))
    def log_out_with_refresh_token(self, which: int, back: int) -> None:
        session = _back(self.account.sessions, which)
        token = _back(self.refreshes[session], back)
        assert self.stage.post("auth/logout", {"refresh_token": token}).status_code == 204
        session.is_ended = True

    @rule(which=chosen)
    def log_out_everywhere(self, which: int) -> None:
        access = _back(self.accesses, which)
        expected = self._use(access)
        assert _told(self.stage.post("auth/logout-all", **_bearer(access))) == expected
        if expected == OK:
            self.account.end_all()

    @rule(which=chosen, other=chosen)
    def end_one(self, which: int, other: int) -> None:
        access, session = _back(self.accesses, which), _back(self.account.sessions, other)
        expected = self._use(access)
        if expected == OK and (session.is_ended or not self.ids[session]):
            expected = NOT_FOUND
        path = f"auth/sessions/{self.ids[session] or self.user_id}"
        (answer,) = self.stage.ask(self.stage.api.call("DELETE", path, headers=_bearer(access)))
        assert _told(answer) == expected
        session.is_ended |= expected == OK

    # the account

    @rule(which=chosen, back=chosen)
    def change_password(self, which: int, back: int) -> None:
        access, current = _back(self.accesses, which), _back(self.passwords, back)
        body = {"current_password": current, "new_password": self._new_password()}
        expected = self.account.use(access.session, access.issued, changing=True)
        if expected == OK and current != self.account.password:
            expected = (403, "forbidden")
        assert _told(self.stage.post("users/me/change-password", body, **_bearer(access))) == expected
        if expected == OK:
            self.account.end_all(but=access.session)
            self._has_password(body["new_password"], NEVER)

    @rule(act=st.sampled_from(ACTS))
    def administrate(self, act: str) -> None:
        """Block, delete and reset end everything; unblock and restore bring nothing back."""
        account, password = self.account, self._new_password()
        body = {"new_password": password} if act == "reset-password" else None
        headers = self._as_admin()
        if act == "delete":
            path = f"users/{self.user_id}"
            (answer,) = self.stage.ask(self.stage.api.call("DELETE", path, headers=headers))
        else:
            answer = self.stage.post(f"users/{self.user_id}/{act}", body, **headers)
        expected = OK if account.is_deleted == (act == "restore") else NOT_FOUND
        assert _told(answer) == expected
        if expected != OK:
            return
        account.is_deleted = act == "delete"
        account.is_blocked = act == "block" or (account.is_blocked and act != "unblock")
        if act in ENDING:
            account.end_all()
        if act == "reset-password":
            self._has_password(password, account.now + TEMPORARY)

    @rule(which=chosen)
    def make_key(self, which: int) -> None:
        access = _back(self.accesses, which)
        answer = self.stage.post("auth/api-keys", {"name": f"key {len(self.keys)}"}, **_bearer(access))
        assert _told(answer) == self._use(access)
        if answer.is_success:
            self.keys.append(Key(answer.json()["key"], answer.json()["id"]))

    @precondition(lambda self: self.keys)
    @rule(which=chosen, other=chosen)
    def revoke_key(self, which: int, other: int) -> None:
        access, key = _back(self.accesses, which), _back(self.keys, other)
        expected = self._use(access)
        assert _told(self.stage.post(f"auth/api-keys/{key.id}/revoke", **_bearer(access))) == expected
        key.is_revoked |= expected == OK

    # after each step, and at the end of the story

    @invariant()
    def some_credentials_answer(self) -> None:
        """The newest, which the last step was probably about, and some older ones."""
        accesses = {id(one): one for one in (*self.accesses[-2:], *self._some(self.accesses, 2))}
        keys = {one.id: one for one in (*self.keys[-1:], *self._some(self.keys, 1))}
        self._ask(list(accesses.values()), list(keys.values()))
        # Asking a living refresh token would spend it.
        dead = [one for one in self.account.sessions if one.is_ended]
        for session in self._some(dead, self.chance.randrange(4) // 3):
            self._refresh(session, self.chance.randrange(len(session.issued)))

    def teardown(self) -> None:
        """All of them."""
        self._ask(self.accesses, self.keys)
        for session in self.account.sessions:
            self._refresh(session, self.chance.randrange(len(session.issued)))
            self._ask([one for one in self.accesses if one.session is session], [])

    def _ask(self, accesses: Sequence[Access], keys: Sequence[Key]) -> None:
        expected = [*map(self._use, accesses), *(self.account.use_key(is_revoked=k.is_revoked) for k in keys)]
        headers = [*map(_bearer, accesses), *({"X-API-Key": key.text} for key in keys)]
        answers = self.stage.ask(*(self.stage.api.get("auth/me", headers=one) for one in headers))
        assert [_told(answer) for answer in answers] == expected

    def _use(self, access: Access) -> Answer:
        return self.account.use(access.session, access.issued)

    def _refresh(self, session: Session, number: int) -> None:
        tokens = self.refreshes[session]
        answer = self.stage.post("auth/refresh", {"refresh_token": tokens[number]})
        assert _told(answer) == self.account.refresh(session, number)
        if answer.is_success:
            if number == len(tokens) - 1:
                tokens.append(answer.json()["refresh_token"])
            assert answer.json()["refresh_token"] == tokens[number + 1]
            assert answer.json()["refresh_token"] not in tokens[: number + 1]
            self._take_access(session, answer)

    def _take_access(self, session: Session, answer: httpx2.Response) -> None:
        self.accesses.append(Access(answer.json()["access_token"], session, self.account.now))

    def _as_admin(self) -> dict[str, str]:
        if self.account.now >= self.admin_until:
            answer = self.stage.post("auth/login", {"email": ADMIN[0], "password": ADMIN[1]})
            self.admin, self.admin_until = answer.json()["access_token"], self.account.now + 10 * MINUTE
        return {"Authorization": f"Bearer {self.admin}"}

    def _new_password(self) -> str:
        return f"{PASSWORD} {len(self.passwords)}"

    def _has_password(self, password: str, ends: float) -> None:
        self.passwords.append(password)
        self.account.password, self.account.password_ends = password, ends

    def _some(self, values: Sequence[T], number: int) -> list[T]:
        return self.chance.sample(values, min(number, len(values)))


def _told(answer: httpx2.Response) -> Answer:
    return OK if answer.is_success else (answer.status_code, answer.json()["code"])


def _back(values: Sequence[T], steps: int) -> T:
    return values[-1 - steps % len(values)]


def _bearer(access: Access) -> dict[str, str]:
    return {"Authorization": f"Bearer {access.text}"}


def play(
    stage: Stage, runs: int = RUNS, phases: Sequence[Phase] = tuple(Phase), stories: int | None = None
) -> None:
    """Tells stories; raises AssertionError at the first step where program and model disagree.

    The usual run tells the same stories each time; the long one tells new ones, and prints how to repeat a failure.
    `stories` is the seed of particular ones.
    """
    told = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        phases=phases,
        derandomize=not FULL,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    factory: Any = partial(SessionMachine, stage)  # typed as a class, documented as anything that makes one
    run_state_machine_as_test(factory if stories is None else seed(stories)(factory), settings=told)


def test_program_and_model_agree(stage: Stage) -> None:
    play(stage)


def test_model_is_short_enough_to_be_believed() -> None:
    lines = Path(session_model.__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) < 60


# Faults, planted one at a time: each of them must be found.

find_child, unblock, is_in_grace = (
    SessionRepository.find_child,
    UserService.unblock,
    SessionService._is_in_grace,
)


async def _never_used(self: SessionRepository, parent_hash: str) -> Any:
    """A spent successor passes for an unused one: whatever the age of a token, it is an honest retry."""
    child = await find_child(self, parent_hash)
    return child and SimpleNamespace(used_at=None, token_hash=child.token_hash)


async def _grandparents_too(self: SessionRepository, parent_hash: str) -> Any:
    child = await find_child(self, parent_hash)
    grandchild = await find_child(self, child.token_hash) if child and child.used_at else None
    return child if grandchild is None or grandchild.used_at else await _never_used(self, parent_hash)


async def _reviving(self: UserService, *args: Any) -> Any:
    found = await unblock(self, *args)
    version = "(SELECT auth_version FROM users WHERE users.pk = user_pk)"
    async with self.uow.database.writer.begin() as connection:
        await connection.execute(
            text(f"UPDATE sessions SET revoked_at = NULL, revoked_reason = NULL, auth_version = {version}")  # noqa: S608
        )
    return found


def _unrevoked(self: Stamp, moment: datetime) -> bool:
    return self.expires_at > moment and self.session_auth_version == self.auth_version


def _without_end(self: Stamp, _moment: datetime) -> bool:
    return self.revoked_at is None and self.session_auth_version == self.auth_version


def _second_too_long(self: SessionService, token: RefreshToken, moment: datetime) -> bool:
    return is_in_grace(self, token, moment - timedelta(seconds=1))


async def _nothing_ends(*_: Any) -> None:
    """A new password that leaves the other sessions alone."""


# First the seed of stories that come to it soon; any others come to it too.
FAULTS: dict[str, tuple[int, type, str, Callable[..., Any]]] = {
    "use of the successor is ignored": (0, SessionRepository, "find_child", _never_used),
    "grace for the grandparent": (0, SessionRepository, "find_child", _grandparents_too),
    "grace is a second longer": (3, SessionService, "_is_in_grace", _second_too_long),
    "revocation is not checked": (0, Stamp, "is_alive", _unrevoked),
    "absolute end is not checked": (4, Stamp, "is_alive", _without_end),
    "unblock revives": (0, UserService, "unblock", _reviving),
    "new password ends nothing": (4, SessionRepository, "revoke_all", _nothing_ends),
}


@pytest.mark.parametrize("backend", BACKENDS if FULL else BACKENDS[:1], indirect=True)
@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    first, owner, attribute, faulty = FAULTS[name]
    monkeypatch.setattr(owner, attribute, faulty)
    with pytest.raises(AssertionError):
        play(stage, runs=100, phases=[Phase.generate], stories=first)
