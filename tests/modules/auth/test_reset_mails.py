"""The mails with the links: sent by one worker, later if need be, given up in the end, and never too many."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine

from app.core.clock import now
from app.core.mail import Mail, SmtpMailer
from app.modules.auth.repository_resets import ResetRepository
from app.modules.auth.service_resets import _LEASE, _MAX_ATTEMPTS, _RETRY, LINK_LIFE
from tests.api import PASSWORD
from tests.backend import Backend
from tests.mailbox import Mailbox
from tests.modules.auth.post_office import NEW_PASSWORD, Office, office_at, open_office, token_of, told
from tests.modules.auth.support import stored

MOMENT = timedelta(seconds=5)
PATIENCE_SECONDS = 10


@pytest.fixture
async def office(backend: Backend) -> AsyncIterator[Office]:
    """A new one for each test: they break it."""
    async with open_office(backend) as office:
        yield office


@pytest.fixture
def later_server() -> Iterator[Mailbox]:
    with Mailbox() as box:
        yield box


@asynccontextmanager
async def colleague_of(office: Office) -> AsyncIterator[Office]:
    """A second worker on the same database."""
    async with office_at(office.app.settings.database_url, office.box) as other:
        yield other


async def left(office: Office) -> int:
    """How many requests and links are kept."""
    return int((await stored(office.app, "SELECT count(*) FROM password_resets"))[0][0])


async def until(is_so: Callable[[], object]) -> None:
    """Waits for what the job or the mail server does by itself. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110  both are no tasks of the test's
            await asyncio.sleep(0.01)


async def test_request_is_answered_by_a_mail_without_more_ado(office: Office) -> None:
    office.app.kernel.reset_mails.start()
    user = await office.api.user()
    await office.ask(user.email)
    await until(lambda: office.box.letters)
    await office.app.kernel.reset_mails.stop()
    await office.assert_good(token_of(office.box.letters[0].text))


async def test_what_was_asked_before_the_start_is_sent_after_it(office: Office) -> None:
    user = await office.api.user()
    await office.ask(user.email)
    office.app.kernel.reset_mails.start()
    await until(lambda: office.box.letters)
    await office.app.kernel.reset_mails.stop()
    assert office.box.letters[0].recipients == [user.email]


async def test_mail_that_is_refused_for_now_is_sent_later(
    office: Office, clock: time_machine.Traveller
) -> None:
    user = await office.api.user()
    office.box.answer_once("RCPT", "451 4.3.0 Later")
    await office.ask(user.email)
    with told() as logs:
        await office.work()
    (line,) = [line for line in logs if line["event"] == "auth.reset_mail_failed"]
    assert (line["temporary"], line["log_level"]) == (True, "warning")
    clock.shift(_RETRY - MOMENT)
    await office.work()
    assert office.box.letters == []
    clock.shift(MOMENT * 2)
    await office.work()
    (letter,) = office.letters_to(user.email)
    clock.shift(LINK_LIFE - MOMENT)  # it lives from the mail on, not from the request
    await office.assert_good(token_of(letter.text))


async def test_mail_server_that_is_down_is_tried_again_less_and_less_often(
    office: Office, clock: time_machine.Traveller
) -> None:
    tries: list[timedelta] = []
    user = await office.api.user()
    office.box.answer_always("MAIL", "421 4.3.2 Closing")
    await office.ask(user.email)
    start = now()
    with told() as logs:
        while await left(office):
            before = len(logs)
            await office.work()
            if len(logs) > before:
                tries.append(now() - start)
            clock.shift(MOMENT)
            assert now() - start < 3 * LINK_LIFE
    events = [line["event"] for line in logs]
    assert events == [*["auth.reset_mail_failed"] * (len(events) - 1), "auth.reset_mail_given_up"]
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps == sorted(gaps)
    assert 5 <= len(events) <= _MAX_ATTEMPTS + 1
    assert user.email not in repr(logs)
    assert office.box.letters == []


async def test_server_that_comes_back_gets_the_mail(
    backend: Backend, later_server: Mailbox, clock: time_machine.Traveller
) -> None:
    url = backend.new_database()
    with Mailbox() as gone:
        port_of_nobody = gone.port
    async with office_at(url, later_server, smtp_url=f"smtp://127.0.0.1:{port_of_nobody}") as office:
        user = await office.api.user()
        await office.ask(user.email)
        with told() as logs:
            await office.work()
        assert [line["event"] for line in logs] == ["auth.reset_mail_failed"]
    async with office_at(url, later_server) as office:
        clock.shift(_RETRY + MOMENT)
        await office.work()
        await office.assert_good(token_of(office.letters_to(user.email)[0].text))


async def test_mail_that_is_refused_for_good_is_given_up_and_told(
    office: Office, clock: time_machine.Traveller
) -> None:
    user = await office.api.user()
    office.box.answer_always("RCPT", f"550 5.1.1 {user.email} is unknown")
    await office.ask(user.email)
    with told() as logs:
        await office.work()
        clock.shift(timedelta(hours=1))
        await office.work()
    (line,) = logs
    assert (line["event"], line["temporary"]) == ("auth.reset_mail_failed", False)
    assert "550 5.1.1" in line["reason"]
    assert user.email not in repr(line)
    assert await left(office) == 0


async def test_refused_mail_does_not_hold_up_the_next_one(office: Office) -> None:
    unlucky, lucky = await office.api.user(), await office.api.user()
    office.box.answer_once("RCPT", "550 5.1.1 No")
    await office.ask(unlucky.email)
    await office.ask(lucky.email)
    await office.work()
    assert [letter.recipients for letter in office.box.letters] == [[lucky.email]]


async def test_two_workers_send_each_mail_once(office: Office) -> None:
    users = [await office.api.user() for _ in range(8)]
    async with colleague_of(office) as other:
        for user in users:
            await office.ask(user.email)
        await asyncio.gather(office.work(), other.work(), office.work(), other.work())
        await asyncio.gather(office.work(), other.work())
    assert sorted(letter.recipients[0] for letter in office.box.letters) == sorted(u.email for u in users)
    for user in users:
        await office.assert_good(token_of(office.letters_to(user.email)[0].text))


async def test_worker_that_dies_while_it_sends_is_stood_in_for_after_its_lease(
    office: Office, clock: time_machine.Traveller
) -> None:
    user = await office.api.user()
    async with colleague_of(office) as other:
        office.box.hang_at("DATA")
        await office.ask(user.email)
        office.app.kernel.reset_mails.start()
        await until(office.box.is_hanging.is_set)
        await office.app.kernel.reset_mails.stop()
        office.box.hang_at("")
        clock.shift(_LEASE - MOMENT)
        await other.work()
        assert office.box.letters == []
        clock.shift(MOMENT * 2)
        await other.work()
        (letter,) = office.letters_to(user.email)
        clock.shift(_LEASE * 2)
        await other.work()
        assert len(office.box.letters) == 1
    await office.assert_good(token_of(letter.text))


async def test_newer_request_ends_the_older_mail_that_waits(
    office: Office, clock: time_machine.Traveller
) -> None:
    user = await office.api.user()
    office.box.answer_once("MAIL", "451 4.3.0 Later")
    await office.ask(user.email)
    await office.work()
    token = await office.link_for(user)
    clock.shift(_RETRY + MOMENT)
    await office.work()
    assert len(office.box.letters) == 1
    await office.assert_good(token)


async def test_waiting_mail_dies_with_a_new_password(
    office: Office, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the password is changed at the very moment the mail was taken up again."""
    user = await office.api.user()
    office.box.answer_once("MAIL", "451 4.3.0 Later")
    await office.ask(user.email)
    await office.work()
    clock.shift(_RETRY + MOMENT)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

    class Late(ResetRepository):
        """Whose transaction has ended when it is asked whether the request is still there."""

        async def become_link(self, *args: object) -> bool:
            await self.remove(int(str(args[0])))
            return await super().become_link(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("app.modules.auth.service_resets.ResetRepository", Late)
    await office.work()
    assert office.box.letters == []
    monkeypatch.undo()
    assert (await user.post("users/me/change-password", body)).status_code == 204
    assert await left(office) == 0


async def test_more_than_five_mails_an_hour_are_withheld_and_nobody_can_tell(
    office: Office, clock: time_machine.Traveller
) -> None:
    user, other = await office.api.user(), await office.api.user()
    tokens = [await office.link_for(user) for _ in range(5)]
    with told() as logs:
        await office.ask(user.email)
        await office.work()
    assert "auth.reset_mail_withheld" in {line["event"] for line in logs}
    assert len(office.letters_to(user.email)) == 5
    await office.link_for(other)
    for token in tokens[:-1]:
        await office.assert_dead(token)
    await office.assert_good(tokens[-1])  # a mail that was withheld ends nobody's link
    clock.shift(timedelta(hours=1))
    await office.link_for(user)


async def test_retries_are_no_new_mails(office: Office, clock: time_machine.Traveller) -> None:
    """Else a mail server with a bad hour would use up what the owner may ask for."""
    user = await office.api.user()
    for _ in range(4):
        office.box.answer_once("MAIL", "451 4.3.0 Later")
    await office.ask(user.email)
    for attempt in range(5):
        await office.work()
        clock.shift(_RETRY * 2**attempt + MOMENT)
    assert len(office.letters_to(user.email)) == 1
    await office.link_for(user)


async def test_fault_in_one_piece_leaves_the_rest_to_the_next_round(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, planted, real = await office.api.user(), ["planted"], SmtpMailer.send

    async def once(self: SmtpMailer, mail: Mail) -> None:
        if planted:
            raise RuntimeError(planted.pop())
        await real(self, mail)

    await office.ask("admin@example.com")
    await office.ask(user.email)
    with monkeypatch.context() as patch, told() as logs:
        patch.setattr(SmtpMailer, "send", once)
        await office.work()
        await office.work()
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["job.failed"]
    assert [letter.recipients for letter in office.box.letters] == [[user.email]]
